"""Images a second of dlx's image_folder beside torchvision's ImageFolder with a DataLoader of 2 workers.

`python benchmarks/image_folder_speed.py` writes a folder of JPEGs, then takes both through it in turn, round by round, with
the same random crop, flip and normalisation: the first epoch from nothing (listing, and for dlx decoding into its cache),
then later ones. Medians of the paired ratios; no model, so that only the data counts.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch
from PIL import Image

import contest

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "src"))

import torchvision
from torchvision.transforms import v2

from dlx.registry import sources

# Name: size stored, size read, images, border of the crop.
SETS = {"large": (256, 224, 1500, 0), "small": (32, 32, 12000, 4)}
CLASSES = 4
MEAN, STD = [0.5] * 3, [0.25] * 3


def write(folder: Path, size: int, count: int) -> None:
    """Write smooth random pictures as JPEGs of quality 90."""
    rng = np.random.default_rng(0)
    for number in range(count):
        place = folder / f"class{number % CLASSES}"
        place.mkdir(parents=True, exist_ok=True)
        rough = rng.integers(0, 256, (max(size // 8, 8), max(size // 8, 8), 3), dtype=np.uint8)
        Image.fromarray(rough).resize((size, size), Image.Resampling.BICUBIC).save(place / f"{number:06}.jpg", quality=90)


def torchvision_epochs(folder: Path, name: str, batch_size: int) -> Callable[[], Iterable[torch.Tensor]]:
    """Make the usual loader."""
    _, size, _, border = SETS[name]
    crop = v2.RandomCrop(size, padding=border or None, padding_mode="reflect")
    tensor = [v2.PILToTensor(), v2.ToDtype(torch.float32, scale=True), v2.Normalize(MEAN, STD)]
    data = torchvision.datasets.ImageFolder(str(folder), v2.Compose([crop, v2.RandomHorizontalFlip(), *tensor]))
    loader = torch.utils.data.DataLoader(data, batch_size, shuffle=True, num_workers=2, persistent_workers=True)
    return lambda: (images for images, _ in loader)


def dlx_epochs(folder: Path, name: str, batch_size: int, cache: Path) -> Callable[[], Iterable[torch.Tensor]]:
    """Make dlx's source."""
    stored, size, _, border = SETS[name]
    choices = {"image_size": size, "cache_size": stored, "val": 0.0, "test": 0.0, "batch_size": batch_size, "cache": str(cache)}
    augment = [{"random_crop": border}, "horizontal_flip"]
    source = sources.build("image_folder", {"path": str(folder), "augment": augment, **choices}, {"seed": 0})
    return lambda: (batch["input"] for batch in source.train(None))


def timed(make: Callable[[], Callable[[], Iterable[torch.Tensor]]], count: int) -> tuple[float, float]:
    """Give seconds of the first epoch, with all that precedes it, and of the faster of two later ones."""
    begun = time.perf_counter()
    epochs = make()
    assert sum(map(len, epochs())) == count
    first, later = time.perf_counter() - begun, []
    for _ in range(2):
        begun = time.perf_counter()
        assert sum(map(len, epochs())) == count
        later.append(time.perf_counter() - begun)
    return first, min(later)


def compare(name: str, folder: Path, rounds: int, batch_size: int) -> None:
    """Take both through a folder in turn, and print the medians."""
    count, ratios = SETS[name][2], []
    cache = folder.parent / f"cache-{name}"
    makers = {
        "dlx": lambda: dlx_epochs(folder, name, batch_size, cache),
        "torchvision": lambda: torchvision_epochs(folder, name, batch_size),
    }

    def tell(found: dict[str, list[tuple[float, float]]]) -> None:
        shutil.rmtree(cache)
        mine, theirs = found["dlx"][-1], found["torchvision"][-1]
        ratios.append((mine[0] / theirs[0], theirs[1] / mine[1]))
        rates = "  ".join(f"{count / seconds:9,.0f}" for seconds in (mine[0], theirs[0], mine[1], theirs[1]))
        print(f"{name}  {rates}  {ratios[-1][0]:6.2f}  {ratios[-1][1]:6.1f}", flush=True)

    contest.in_turn(list(makers), rounds, lambda contestant: timed(makers[contestant], count), after=tell)
    first, later = (statistics.median(column) for column in zip(*ratios, strict=True))
    print(f"{name}: first epoch {first:.2f} times torchvision's time, later epochs {later:.1f} times its speed")


def main() -> None:
    """Run the rounds."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--images", type=int, help="of each set, instead of 1500 and 12000")
    given = parser.parse_args()
    print(contest.machine("torch", "torchvision"))
    print("images/s: dlx first, torchvision first, dlx later, torchvision later; ratio first (time), ratio later (speed)")
    with tempfile.TemporaryDirectory() as place:
        for name, (stored, size, count, border) in list(SETS.items()):
            count = given.images or count
            SETS[name] = stored, size, count, border
            write(Path(place) / name, stored, count)
            compare(name, Path(place) / name, given.rounds, given.batch_size)


if __name__ == "__main__":
    main()
