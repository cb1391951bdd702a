"""What keeping the C library's memory gains: training steps of a small CNN with and without `dlx.engine.device.keep_pages`.

`python benchmarks/keep_pages.py` takes both settings in turn, round by round, each in a process of its own, since the setting
cannot be taken back. Prints milliseconds a step, of them those of the processor in the program and in the system (which a busy
machine changes less), and minor page faults a step, and the medians; the model is `simple_cnn` on
images of 32x32 in channels_last, the optimizer fused SGD, the data one batch again and again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import sys
import time
from pathlib import Path

import contest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

WARMUP = 10
SETTINGS = ("default", "kept")


def steps(setting: str, count: int, batch_size: int, model_name: str, threads: int) -> dict[str, float]:
    """Time steps in this process."""
    import torch
    from torch import nn

    from dlx.engine.device import keep_pages
    from dlx.registry import models

    torch.manual_seed(0)
    torch.set_num_threads(threads)
    if setting == "kept":
        keep_pages()
    statistics_ = {"channel_mean": [0.5] * 3, "channel_std": [0.25] * 3}
    facts = {"input_shape": [3, 32, 32], "in_channels": 3, "num_classes": 10, **statistics_}
    model = models.build(model_name, {}, facts).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, fused=True)
    images, target = torch.randn(batch_size, 3, 32, 32), torch.randint(0, 10, (batch_size,))
    for number in range(WARMUP + count):
        if number == WARMUP:
            begun, before = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF)
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), target).backward()
        optimizer.step()
    seconds, now = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF)
    return {
        "milliseconds": 1000 * seconds / count,
        "program": 1000 * (now.ru_utime - before.ru_utime) / count,
        "system": 1000 * (now.ru_stime - before.ru_stime) / count,
        "faults": (now.ru_minflt - before.ru_minflt) / count,
        "peak": now.ru_maxrss / 1000,
    }


def main() -> None:
    """Run the rounds, or, as a child, one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--model", default="simple_cnn")
    parser.add_argument("--setting", choices=SETTINGS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.setting:
        print(json.dumps(steps(given.setting, given.steps, given.batch_size, given.model, given.threads)))
        return
    print(f"{given.model}, batches of {given.batch_size}, {given.threads} threads; {contest.machine()}")
    print("default, kept: milliseconds a step; in the program; in the system; minor page faults a step", flush=True)
    child = ["--steps", given.steps, "--model", given.model, "--batch-size", given.batch_size, "--threads", given.threads]

    def tell(found: dict[str, list[dict[str, float]]]) -> None:
        pairs = [[found[setting][-1][key] for setting in SETTINGS] for key in ("milliseconds", "program", "system", "faults")]
        print("   ".join(f"{default:9,.1f} {kept:9,.1f}" for default, kept in pairs), flush=True)

    found = contest.in_turn(
        SETTINGS, given.rounds, lambda name: contest.child(__file__, "--setting", name, *child), after=tell, swap=True
    )
    default, kept = ([row["milliseconds"] for row in found[setting]] for setting in SETTINGS)
    ratio = statistics.median(contest.paired(default, kept))
    for setting, rows in found.items():
        middle = {key: statistics.median(row[key] for row in rows) for key in rows[0]}
        parts = f"{middle['milliseconds']:.1f} ms a step, program {middle['program']:.1f}, system {middle['system']:.1f}"
        print(f"{setting}: {parts}, {middle['faults']:,.0f} page faults a step, {middle['peak']:.0f} MB at most")
    print(f"median of the paired ratios: default takes {ratio:.2f} times the time of kept")


if __name__ == "__main__":
    main()
