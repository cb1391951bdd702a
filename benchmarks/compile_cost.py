"""What compiling a step costs, and what it saves: the two numbers by which `device.compile: auto` chooses.

For every network: seconds that the compiled step takes the first time with an empty cache and with a full one; with a full one,
too, those from the end of importing torch to the end of that step, with all of dlx's imports and preparations; microseconds of a
step as written and compiled (medians), and what is saved for every layer and every tensor of parameters.

    python benchmarks/compile_cost.py [--networks mlp gru] [--threads 1] [--steps 200]
"""

from __future__ import annotations

import argparse
import json
import os
import statistics
import sys
import tempfile
import time
from dataclasses import replace

import contest
import framework_loops
from framework_common import RACES


def child(network: str, contestant: str, threads: int, steps: int) -> dict[str, float]:
    """Take some steps, the second of which compiles; tell how long that took, and the median of the others."""
    import torch

    imported = time.perf_counter()
    from dlx.engine.compiling.choice import parts
    from dlx.engine.trainer import Trainer

    torch.set_num_threads(threads)
    race = RACES[network]
    experiment = framework_loops.prepared(replace(race, rows=race.batch * steps, epochs=0, threads=threads), contestant)
    took, ends, descend = [], [], Trainer.descend

    def timed(self, group):
        start = time.perf_counter()
        descend(self, group)
        ends.append(time.perf_counter() - imported)
        took.append(time.perf_counter() - start)

    Trainer.descend = timed
    contest.train(experiment, lambda step, scalars: None)
    return {"second": took[1], "begun": ends[1], "step": statistics.median(took[2:-1]), "parts": parts(experiment.task)}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--networks", nargs="+", choices=list(RACES), default=[name for name in RACES if name != "vgg16"])
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps", type=int, default=200)
    parser.add_argument("--child", nargs=2, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        print(json.dumps(child(*given.child, given.threads, given.steps)))
        return
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-given.threads :])
    print(contest.machine("torch"))
    heads = ("parts", "cold s", "warm s", "begun s", "as written us", "compiled us", "saved us a part")
    print(" ".join([f"{'':10}", *(f"{head:>{max(len(head), 8)}}" for head in heads)]))
    for network in given.networks:
        with tempfile.TemporaryDirectory() as cache:
            settings = {"XDG_CACHE_HOME": cache, "OMP_NUM_THREADS": str(given.threads)}
            options = ("--threads", given.threads, "--steps", given.steps)
            names = ("dlx", "compiled", "compiled")
            runs = [contest.child(__file__, *options, "--child", network, name, settings=settings) for name in names]
        written, cold, warm = runs
        saved = (written["step"] - warm["step"]) / written["parts"]
        row = (
            f"{written['parts']:.0f}", f"{cold['second']:.1f}", f"{warm['second']:.2f}", f"{warm['begun']:.2f}",
            f"{1e6 * written['step']:,.0f}", f"{1e6 * warm['step']:,.0f}", f"{1e6 * saved:.1f}",
        )  # fmt: skip
        cells = (f"{cell:>{max(len(head), 8)}}" for head, cell in zip(heads, row, strict=True))
        print(" ".join([f"{network:10}", *cells]), flush=True)


if __name__ == "__main__":
    sys.exit(main())
