"""What single parts of dlx cost: augmenting whole batches, reading a table, and the clock of waiting.

- augmentation: crop and flip of 128 images of 32x32 at once, beside torchvision's transforms image by image, on one thread;
- table: `csv` on a file of random numbers and words, from nothing to its tensors, beside the bare parsing of csv and float;
- waiting: the clock that tells how long steps wait for data, beside the same steps without it.

    python benchmarks/parts_speed.py [--rounds 20] [--rows 20000]

Each pair is taken in turn in this process; medians of microseconds, and the paired ratios.
"""

from __future__ import annotations

import argparse
import csv
import itertools
import random
import statistics
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torchvision.transforms import v2

import contest
from dlx.augmentation.pipeline import Pipeline
from dlx.engine.data_wait import Waiting
from dlx.registry import sources

STEPS = 2000  # of the clock of waiting
Pair = dict[str, Callable[[], Any]]


def augmentation() -> Pair:
    facts = {"input_shape": [3, 32, 32], "channel_mean": [0.5] * 3, "num_classes": 10}
    pipeline = Pipeline(["random_crop", "horizontal_flip"], facts)
    single = v2.Compose([v2.RandomCrop(32, 4, padding_mode="reflect"), v2.RandomHorizontalFlip()])
    batch = torch.randint(0, 256, (128, 3, 32, 32), dtype=torch.uint8)
    generator = torch.Generator().manual_seed(0)
    return {
        "whole batch": lambda: pipeline.change(batch, generator),
        "image by image": lambda: torch.stack([single(image) for image in batch]),
    }


def table(folder: Path, rows: int) -> Pair:
    draw, file = random.Random(0), folder / "table.csv"
    with file.open("w", newline="") as written:
        writer = csv.writer(written)
        writer.writerow([*(f"number_{i}" for i in range(8)), "word", "target"])
        for _ in range(rows):
            writer.writerow([*(f"{draw.gauss(0, 1):.6g}" for _ in range(8)), draw.choice("abc"), draw.choice(["yes", "no"])])

    def parsing() -> None:
        with file.open(newline="") as opened:
            for row in itertools.islice(csv.reader(opened), 1, None):
                list(map(float, row[:8]))

    return {
        "source csv": lambda: sources.build("csv", {"train": str(file), "target": "target"}, {"seed": 0}),
        "bare parsing": parsing,
    }


def waiting() -> Pair:
    def watched() -> None:
        meter, source = Waiting(200), itertools.repeat({})
        for _ in range(STEPS):
            meter.take(source, 1)
            meter.add(time.perf_counter())

    def plain() -> None:
        source = itertools.repeat({})
        for _ in range(STEPS):
            list(itertools.islice(source, 1))

    return {f"{STEPS} steps watched": watched, "not watched": plain}


def timed(call: Callable[[], Any]) -> float:
    """Give the microseconds of a call."""
    begun = time.perf_counter()
    call()
    return 1e6 * (time.perf_counter() - begun)


def compare(title: str, pair: Pair, rounds: int) -> None:
    """Print the medians of two ways, and the first one's time as a part of the second one's."""
    found = contest.in_turn(list(pair), rounds + 1, lambda name: timed(pair[name]))
    ours, theirs = (row[1:] for row in found.values())  # the first round warms up
    parts = ", ".join(f"{name} {statistics.median(row[1:]):,.0f} us" for name, row in found.items())
    print(f"{title}: {parts}; ratio {contest.spread(contest.paired(ours, theirs), '.3g')}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--rows", type=int, default=20_000, help="of the table")
    given = parser.parse_args()
    torch.set_num_threads(1)  # on a busy machine two threads wait for each other a hundred times as long
    print(contest.machine("torch", "torchvision"))
    compare("augmentation", augmentation(), given.rounds)
    compare("waiting", waiting(), given.rounds)
    with tempfile.TemporaryDirectory() as folder:
        compare("table", table(Path(folder), given.rows), given.rounds)


if __name__ == "__main__":
    main()
