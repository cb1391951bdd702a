"""Folders of small images for tests, and the data sets made of them."""

import numpy as np
import torch
from PIL import Image

from dlx.registry import sources


def write(root, names, size=(6, 5), start=0):
    """Write images of random pixels, every one its own."""
    for number, name in enumerate(names, start):
        (root / name).parent.mkdir(parents=True, exist_ok=True)
        pixels = np.random.default_rng(number).integers(0, 256, (size[1], size[0], 3), dtype=np.uint8)
        Image.fromarray(pixels).save(root / name)


def classes(count=10, kinds=("cat", "dog")):
    """Name images of classes."""
    return [f"{kind}/{n:02}.png" for kind in kinds for n in range(count)]


def splits(root):
    """Write a training, a validation and a test split."""
    write(root, [f"{split}/{name}" for split, n in (("train", 10), ("valid", 4), ("test", 3)) for name in classes(n)])
    return root


def build(folder, cache=None, name="image_folder", facts=None, **choices):
    """Build a data set with a cache beside its folder."""
    given = {"path": str(folder), "image_size": 4, "cache": str(cache or folder.parent / "cache"), "batch_size": 4}
    return sources.build(name, given | choices, {"seed": 0, **(facts or {})})


def listed(source):
    """List the targets of every split."""
    return {split: torch.cat([b["target"] for b in source.evaluate(None, split)]).tolist() for split in source.splits()}


def inputs(source, split):
    """Join the inputs of a split."""
    return torch.cat([b["input"] for b in source.evaluate(None, split)])


def caches(folder, name="cache"):
    """Find the folders of decoded images beside a folder, each with its inode."""
    found = (folder.parent / name / "dlx-images").glob("images-*")
    return {place: place.stat().st_ino for place in found if place.is_dir()}
