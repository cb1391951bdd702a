"""The large image sets of torchvision: files, decoded into the cache."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from dlx.core import Source
from dlx.data.image.listing import Listing
from dlx.data.image.names import Names, stamp
from dlx.data.image.preparation import DrawnSplits, ImageOptions, assemble, preparation
from dlx.data.image.torchvision_common import FRACTION, construct, enter, missing, parts_of, refuse_other_classes
from dlx.data.options import Batching, Checkpoint
from dlx.data.splits import Fraction
from dlx.processors.image.decoding import Resize
from dlx.registry.types import Download, SomePath

# Title, torchvision's names of its splits by ours, the folder it keeps, what it is.
FILES: dict[str, tuple[str, dict[str, str], str, str]] = {
    "flowers102": (
        "Flowers102",
        {"train": "train", "val": "val", "test": "test"},
        "flowers-102",
        "Flowers of 102 kinds, 10 images each to train on (Nilsback, Zisserman 2008).",
    ),
    "oxford_iiit_pet": (
        "OxfordIIITPet",
        {"train": "trainval", "test": "test"},
        "oxford-iiit-pet",
        "Cats and dogs of 37 breeds (Parkhi et al. 2012).",
    ),
    "food101": ("Food101", {"train": "train", "test": "test"}, "food-101", "Dishes of 101 kinds (Bossard et al. 2014)."),
    "dtd": ("DTD", {"train": "train", "val": "val", "test": "test"}, "dtd", "Textures of 47 kinds (Cimpoi et al. 2014)."),
    "fgvc_aircraft": (
        "FGVCAircraft",
        {"train": "train", "val": "val", "test": "test"},
        "fgvc-aircraft-2013b",
        "Aircraft of 100 variants (Maji et al. 2013).",
    ),
}


@dataclass(frozen=True, kw_only=True)
class CroppedImages(ImageOptions):
    """Photographs of any shape: their middle is cut out unless the config says otherwise."""

    resize: Resize = "crop"


def _from_files(name: str) -> Callable[..., Source]:
    title, splits, folder, _ = FILES[name]

    def make(
        seed: int,
        kept: Checkpoint,
        *,
        path: SomePath,
        download: Download = False,
        images: CroppedImages,
        val: Fraction | None = None,
        split_seed: int = 0,
        batching: Batching,
    ) -> Source:
        wanted = preparation(kept, images)
        fraction = FRACTION if val is None and "val" not in splits else val
        parts = parts_of(list(splits), wanted.wanted)
        listed = splits if "train" in parts else {part: splits[part] for part in parts}  # drawing must know what needs none
        listing = _listing(title, listed, folder, path, download)
        refuse_other_classes(wanted.known.class_names if wanted.known else None, listing.class_names, name)
        drawn = DrawnSplits(fraction if "train" in parts else None, None, split_seed)
        return assemble(seed, listing, wanted, drawn, batching)

    return make


def _listing(title: str, splits: dict[str, str], folder: str, path: str, download: bool) -> Listing:
    import torchvision

    cls, files = getattr(torchvision.datasets, title), Names(path)
    labels: list[int] = []
    rows: dict[str, np.ndarray] = {}
    class_names: list[str] = []
    for ours, theirs in splits.items():
        expected = f"the folder {os.path.join(path, folder)}, as torchvision keeps it"
        made = construct(cls, title, path, expected, download, split=theirs)
        images = getattr(made, "_image_files", None) or made._images
        for image in images:
            files.add(os.path.relpath(image, path), _stamp(title, path, expected, image))
        rows[ours] = np.arange(len(labels), len(labels) + len(images))
        labels += list(made._labels)
        class_names = list(getattr(made, "classes", [])) or class_names
    codes = np.array(labels, np.int64)
    return Listing(files, class_names or [str(n) for n in range(int(codes.max()) + 1)], codes, rows)


def _stamp(title: str, path: str, expected: str, image: Any) -> tuple[int, int, int, int]:
    try:
        return stamp(os.stat(image))
    except OSError:
        raise missing(title, path, f"{image} in {expected}") from None


for _name, _files in FILES.items():
    enter(_name, _from_files(_name), _files[3])
