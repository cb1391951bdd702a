"""What keeping the C library's memory gains: training steps of a small CNN with and without `dlx.device.keep_pages`.

`python benchmarks/keep_pages.py` takes both settings in turn, round by round, each in a process of its own, since the setting
cannot be taken back. Prints milliseconds a step and minor page faults a step, and the medians; the model is `simple_cnn` on
images of 32x32 in channels_last, the optimizer fused SGD, the data one batch again and again.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import statistics
import subprocess
import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

WARMUP = 10
SETTINGS = ("default", "kept")


def steps(setting: str, count: int, batch_size: int, model_name: str) -> dict[str, float]:
    """Time steps in this process."""
    import torch
    from torch import nn

    from dlx.device import keep_pages
    from dlx.registry import models

    torch.manual_seed(0)
    if setting == "kept":
        keep_pages()
    statistics_ = {"channel_mean": [0.5] * 3, "channel_std": [0.25] * 3}
    facts = {"input_shape": [3, 32, 32], "in_channels": 3, "num_classes": 10, **statistics_}
    model = models.build(model_name, {}, facts).to(memory_format=torch.channels_last).train()
    optimizer = torch.optim.SGD(model.parameters(), 0.01, momentum=0.9, fused=True)
    images, target = torch.randn(batch_size, 3, 32, 32), torch.randint(0, 10, (batch_size,))
    for number in range(WARMUP + count):
        if number == WARMUP:
            begun, faults = time.perf_counter(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt
        optimizer.zero_grad()
        nn.functional.cross_entropy(model(images), target).backward()
        optimizer.step()
    seconds, now = time.perf_counter() - begun, resource.getrusage(resource.RUSAGE_SELF)
    return {"milliseconds": 1000 * seconds / count, "faults": (now.ru_minflt - faults) / count, "peak": now.ru_maxrss / 1000}


def main() -> None:
    """Run the rounds, or, as a child, one of them."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=7)
    parser.add_argument("--steps", type=int, default=60)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--model", default="simple_cnn")
    parser.add_argument("--setting", choices=SETTINGS, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.setting:
        print(json.dumps(steps(given.setting, given.steps, given.batch_size, given.model)))
        return
    print(f"{given.model}, batches of {given.batch_size}; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f}")
    print("milliseconds a step: default, kept; minor page faults a step: default, kept", flush=True)
    found: dict[str, list[dict[str, float]]] = {setting: [] for setting in SETTINGS}
    for number in range(given.rounds):
        for setting in SETTINGS if number % 2 == 0 else SETTINGS[::-1]:
            command = [sys.executable, __file__, "--setting", setting, "--steps", str(given.steps), "--model", given.model]
            command += ["--batch-size", str(given.batch_size)]
            done = subprocess.run(command, capture_output=True, text=True, check=True)
            found[setting].append(json.loads(done.stdout.splitlines()[-1]))
        default, kept = (found[setting][-1] for setting in SETTINGS)
        times = f"{default['milliseconds']:8.2f}  {kept['milliseconds']:8.2f}"
        print(f"{times}  {default['faults']:9,.0f}  {kept['faults']:9,.0f}", flush=True)
    ratio = statistics.median(a["milliseconds"] / b["milliseconds"] for a, b in zip(*found.values(), strict=True))
    for setting, rows in found.items():
        time_, faults, peak = (statistics.median(row[key] for row in rows) for key in ("milliseconds", "faults", "peak"))
        print(f"{setting}: {time_:.2f} ms a step, {faults:,.0f} page faults a step, {peak:.0f} MB at most")
    print(f"median of the paired ratios: default takes {ratio:.2f} times the time of kept")


if __name__ == "__main__":
    main()
