"""The small image sets of torchvision: arrays in memory."""

from __future__ import annotations

import os
from collections.abc import Callable, Collection, Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from PIL import Image

from dlx.augmentation.pipeline import AugmentationList
from dlx.core import Source
from dlx.data.image import idx
from dlx.data.image.listing import Listing
from dlx.data.image.names import Names
from dlx.data.image.preparation import Channels, Size, choose, fitted, pair
from dlx.data.image.source import ImageSource
from dlx.data.image.splits import digest, divide, tell_duplicates
from dlx.data.image.torchvision_common import FRACTION, construct, enter, missing, parts_of, refuse_other_classes
from dlx.data.options import Batching, Checkpoint
from dlx.data.splits import Fraction
from dlx.processors.image.decoding import Decoding
from dlx.registry.types import Download, SomePath

Arrays = tuple[np.ndarray, np.ndarray]  # uint8 images (N, H, W) or (N, H, W, C), and labels (N,)

MNIST_LIKE = {
    "mnist": ("MNIST", [str(n) for n in range(10)], "Handwritten digits, 28x28 grey (LeCun et al. 1998)."),
    "fashion_mnist": (
        "FashionMNIST",
        ["T-shirt/top", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot"],
        "Pieces of clothing, 28x28 grey (Xiao et al. 2017).",
    ),
    "kmnist": (
        "KMNIST",
        ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"],
        "Cursive Japanese characters, 28x28 grey (Clanuwat et al. 2018).",
    ),
}
ARRAYS = {
    "cifar10": ("CIFAR10", "the folder cifar-10-batches-py", "Objects of 10 classes, 32x32 in colour (Krizhevsky 2009)."),
    "cifar100": ("CIFAR100", "the folder cifar-100-python", "Objects of 100 classes, 32x32 in colour (Krizhevsky 2009)."),
    "svhn": ("SVHN", "train_32x32.mat and test_32x32.mat", "House numbers, 32x32 in colour (Netzer et al. 2011)."),
    "stl10": ("STL10", "the folder stl10_binary", "Objects of 10 classes, 96x96 in colour (Coates et al. 2011)."),
}


def _read_mnist_like(name: str, path: str, download: bool, parts: Collection[str]) -> tuple[dict[str, Arrays], list[str]]:
    title, class_names, _ = MNIST_LIKE[name]
    places = [path, os.path.join(path, title, "raw"), os.path.join(path, "raw")]
    wanted = [(idx.FILE_PREFIXES[part], kind) for part in parts for kind in ("images", "labels")]

    def files() -> list[Any] | None:
        for place in places:
            found = [idx.find(place, prefix, kind) for prefix, kind in wanted]
            if all(found):
                return found
        return None

    expected = (
        f"train-images-idx3-ubyte, train-labels-idx1-ubyte and the two t10k files, gzipped or not, there or in {places[1]}"
    )
    if files() is None and download:
        import torchvision

        construct(getattr(torchvision.datasets, title), title, path, expected, True)
    found = files()
    if found is None:
        raise missing(title, path, expected)
    arrays = list(map(idx.read, found))
    return {part: (arrays[2 * place], arrays[2 * place + 1]) for place, part in enumerate(parts)}, class_names


def _read_arrays(name: str, path: str, download: bool, parts: Collection[str]) -> tuple[dict[str, Arrays], list[str]]:
    import torchvision

    title, expected, _ = ARRAYS[name]
    cls, splits, class_names = getattr(torchvision.datasets, title), {}, None
    for split in parts:
        options = {"train": split == "train"} if title.startswith("CIFAR") else {"split": split}
        made = construct(cls, title, path, f"{expected}, as torchvision keeps it", download, **options)
        images, labels = np.asarray(made.data), np.asarray(getattr(made, "targets", getattr(made, "labels", None)))
        splits[split] = (images if images.shape[-1] == 3 else np.ascontiguousarray(images.transpose(0, 2, 3, 1)), labels)
        class_names = getattr(made, "classes", None) or class_names
    return splits, class_names or [str(n) for n in range(10)]


def _in_memory(name: str, read: Callable[..., Any], grey: bool) -> Callable[..., Source]:
    def make(
        seed: int,
        kept: Checkpoint,
        *,
        path: SomePath,
        download: Download = False,
        image_size: Size | None = None,
        channels: Channels = 1 if grey else 3,
        augment: AugmentationList | None = None,
        val: Fraction = FRACTION,
        split_seed: int = 0,
        batching: Batching,
    ) -> Source:
        wanted = kept.wanted_splits if kept.processor else None
        arrays, class_names = read(name, path, download, parts_of(("train", "test"), wanted))
        size = pair(image_size or next(iter(arrays.values()))[0].shape[1:3])
        decoding = Decoding(size[0], size[1], channels=channels)
        processor = fitted(kept.processor, decoding, size)
        refuse_other_classes(processor.class_names if processor else None, class_names, name)
        parts, digests = _divided(arrays, path, class_names, val, split_seed)
        chosen = choose(parts, wanted)
        images = {part: _fitted(pixels, decoding) for part, (pixels, _) in arrays.items()}
        labels = {part: np.asarray(codes, np.int64) for part, (_, codes) in arrays.items()}
        origin = {split: split if split in arrays else "train" for split in chosen}
        source = ImageSource(
            seed,
            {split: _taken(images[origin[split]], rows) for split, rows in chosen.items()},
            {split: torch.from_numpy(labels[origin[split]][rows]) for split, rows in chosen.items()},
            class_names, decoding, size, processor=processor, augment=augment, batching=batching,
        )  # fmt: skip
        source.drawn = frozenset(chosen) & {"val"}
        source.digests = {
            split: digest(class_names, labels[origin[split]][rows], digests[origin[split]][rows])
            for split, rows in chosen.items()
        }
        return source

    return make


def _divided(
    arrays: Mapping[str, Arrays], path: str, class_names: list[str], val: float, split_seed: int
) -> tuple[dict[str, np.ndarray], dict[str, np.ndarray]]:
    """Give the rows of each split within its array, and a digest of every image of each array; tells duplicates."""
    parts: dict[str, np.ndarray] = {}
    if "train" in arrays:
        labels = np.asarray(arrays["train"][1], np.int64)
        listing = Listing(Names(path), class_names, labels, {"train": np.arange(len(labels))})
        parts = divide(listing, np.ones(len(labels), bool), val, None, split_seed)
    if "test" in arrays:
        parts["test"] = np.arange(len(arrays["test"][0]))
    digests = {part: _digests(pixels) for part, (pixels, _) in arrays.items()}
    names = [f"{part} image {number}" for part, (pixels, _) in arrays.items() for number in range(len(pixels))]
    before = len(digests.get("train", ()))
    rows = {split: rows + before * (split == "test") for split, rows in parts.items()}
    tell_duplicates(names, np.concatenate(list(digests.values())), rows)
    return parts, digests


def _digests(pixels: np.ndarray) -> np.ndarray:
    found = b"".join(blake2b(image.tobytes(), digest_size=8).digest() for image in pixels)
    return np.frombuffer(found, "<u8").astype(np.uint64)


def _taken(images: torch.Tensor, rows: np.ndarray) -> torch.Tensor:
    return images if len(rows) == len(images) else images[torch.from_numpy(rows)]


def _fitted(images: np.ndarray, decoding: Decoding) -> torch.Tensor:
    """Bring images to size and channels by the code that files go through; those that fit are only turned."""
    shape = (1 if images.ndim == 3 else 3, *images.shape[1:3])
    if shape != decoding.shape:
        return torch.from_numpy(np.stack([decoding.fit(Image.fromarray(image)) for image in images]))
    turned = images[:, None] if images.ndim == 3 else np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return torch.from_numpy(turned.copy() if not turned.flags.writeable else turned)


for _name, _mnist in MNIST_LIKE.items():
    enter(_name, _in_memory(_name, _read_mnist_like, grey=True), _mnist[2])
for _name, _arrays in ARRAYS.items():
    enter(_name, _in_memory(_name, _read_arrays, grey=False), _arrays[2])
