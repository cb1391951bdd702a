"""Steps per second of whole trainings of small networks, beside a plain loop of PyTorch and Keras on three backends, in one run.

Every contestant trains the same network with Adam on the same rows in memory, in batches shuffled anew every epoch, in a
process of its own on as many cores as it has threads, in turn, several times; medians count, and ratios are taken round by
round. The first epoch warms up, or compiles; the C library keeps memory given back, as dlx has it, for all of them.

    mlp         64-16-64-64-10, relu
    simple_rnn  50 steps of 8 numbers, a state of 128, dense 64 with relu at every step, flatten, dense 10; lstm and gru likewise
    resnet20    images of 3x32x32 in batches of 128, a linear projection where a group begins
    vgg16       images of 3x224x224 in batches of 8, all of its 134 million parameters, without dropout

    dlx         `dlx train` with its data pipeline, its check for non-finite numbers, a log line an epoch; not compiled.
                Small networks run on one thread, as dlx chooses, whatever number there is
    compiled    the same under device.compile: true
    loop        a plain loop of PyTorch at its best: batches gathered by index once an epoch, fused Adam, channels_last
    jax, jax32  Keras by its own fit on JAX, with steps_per_execution 1 and 32
    tf32        Keras on TensorFlow, with 32
    torch       Keras on PyTorch

    python benchmarks/framework_speed.py [--rounds 3] [--threads 1 2] [--networks mlp gru] [--only dlx loop jax32]
        [--python jax=/path/to/python tensorflow=... torch=...]      # of environments that have Keras and this backend
"""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Mapping
from dataclasses import replace

import contest
import framework_loops
from framework_common import BIASES, RACES, SIZE, Race
from framework_networks import in_torch

KEEP = "glibc.malloc.mmap_max=0:glibc.malloc.trim_threshold=2147483647"  # what dlx.device.keep_pages asks for
KERAS = {"jax": ("jax", 1), "jax32": ("jax", 32), "tf32": ("tensorflow", 32), "torch": ("torch", 1)}  # steps per execution
LOOPS = {"dlx": framework_loops.dlx, "compiled": framework_loops.dlx, "loop": framework_loops.loop}


def child(name: str, race: Race) -> dict[str, float]:
    """Be one contestant."""
    os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[-race.threads :])
    if name in KERAS:
        import framework_keras

        return framework_keras.fit(race, KERAS[name][1])
    import torch

    torch.set_num_threads(race.threads)
    return LOOPS[name](race, name)


def run(name: str, race: Race, pythons: Mapping[str, str]) -> float:
    """Run one contestant in a process of its own, and see that its network is as large as it should be."""
    settings = {"OMP_NUM_THREADS": str(race.threads), "GLIBC_TUNABLES": KEEP, "TF_CPP_MIN_LOG_LEVEL": "3"}
    backend = KERAS[name][0] if name in KERAS else ""
    if backend:
        settings["KERAS_BACKEND"] = backend
    numbers = [race.network, race.rows, race.epochs, race.batch, race.threads]
    python = pythons.get(backend, sys.executable)
    found = contest.child(__file__, "--child", name, *numbers, settings=settings, python=python)
    wanted = sum(p.numel() for p in in_torch(race.network).parameters())
    if found["parameters"] != wanted - (BIASES.get(race.network, 0) * SIZE if backend else 0):
        raise SystemExit(f"{name}: {found['parameters']:,} parameters, where PyTorch's network has {wanted:,}")
    return found["rate"]


def present(names: list[str], pythons: Mapping[str, str]) -> list[str]:
    """Keep the contestants that can run here, and tell of every other in a line."""
    plain = contest.present([name for name in names if name not in KERAS], {})
    if "compiled" in plain and not framework_loops.compiles():
        print("compiled: left out, this dlx has no device.compile", flush=True)
        plain.remove("compiled")
    backends = dict.fromkeys(KERAS[name][0] for name in names if name in KERAS)
    needs = {backend: ("keras", backend) for backend in backends}
    found = [one for one in backends if contest.present([one], needs, python=pythons.get(one, sys.executable))]
    return [name for name in names if name in plain or (name in KERAS and KERAS[name][0] in found)]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    names = [*LOOPS, *KERAS]
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 2])
    parser.add_argument("--networks", nargs="+", choices=list(RACES), default=list(RACES))
    parser.add_argument("--only", nargs="+", choices=names, default=names)
    parser.add_argument("--python", nargs="+", default=[], metavar="BACKEND=PATH", help="interpreters that have Keras")
    parser.add_argument("--child", nargs=6, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        name, network, *numbers = given.child
        print(json.dumps(child(name, Race(network, *map(int, numbers)))))
        return
    if max(given.threads) > len(os.sched_getaffinity(0)):
        parser.error(f"--threads: this process may use {len(os.sched_getaffinity(0))} cores only")
    print(contest.machine("torch"))
    pythons = dict(one.split("=", 1) for one in given.python)
    taking_part = present(given.only, pythons)
    for threads in given.threads:
        for race in (replace(RACES[network], threads=threads) for network in given.networks):
            print(f"\n{race.network}, {threads} thread{'s' * (threads > 1)}: steps a second", flush=True)
            found = contest.in_turn(taking_part, given.rounds, lambda name, race=race: run(name, race, pythons))
            contest.table(found, "8.4g", ours="compiled" if "compiled" in found else "dlx")


if __name__ == "__main__":
    main()
