"""The named image sets of torchvision: its own code finds, checks and downloads them."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from hashlib import blake2b
from typing import Any

import numpy as np
import torch
from PIL import Image
from pydantic import NonNegativeInt, PositiveInt

from dlx.augmentation.pipeline import AugmentationList
from dlx.core import Source
from dlx.data import image_idx
from dlx.data.image_assembly import Channels, MaxPixels, OnBad, Size, assemble, divide, preparation, tell_duplicates
from dlx.data.image_cache import Cache
from dlx.data.image_listing import Listing, Names, stamp
from dlx.data.image_source import ImageSource
from dlx.data.splits import Fraction
from dlx.errors import Misfit
from dlx.processors.image_decoding import MAX_PIXELS, Decoding, Resize
from dlx.registry import sources
from dlx.signatures import Download, SomePath

FRACTION = 0.1  # of the training images, for validation where the set has no such split

Arrays = tuple[np.ndarray, np.ndarray]  # uint8 images (N, H, W) or (N, H, W, C), and labels (N,)


def _missing(title: str, path: str, expected: str) -> Misfit:
    return Misfit(f"no {title} in {path}: expected {expected}; download: true fetches it", ("path",))


def _make(cls: Any, title: str, path: str, expected: str, download: bool, **options: Any) -> Any:
    """Make torchvision's data set; raises Misfit where the files are not there or not whole."""
    try:
        return cls(path, download=download, **options)
    except (RuntimeError, OSError) as error:
        if download:
            raise Misfit(f"{title} cannot be downloaded to {path}: {error}", ("download",)) from None
        raise _missing(title, path, expected) from None


# Small sets: arrays in memory. ---------------------------------------------------------------------------------------

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


def _read_mnist_like(name: str, path: str, download: bool) -> tuple[dict[str, Arrays], list[str]]:
    title, class_names, _ = MNIST_LIKE[name]
    places = [path, os.path.join(path, title, "raw"), os.path.join(path, "raw")]

    def files() -> list[Any] | None:
        for place in places:
            found = [
                image_idx.find(place, prefix, kind) for prefix in image_idx.PARTS.values() for kind in ("images", "labels")
            ]
            if all(found):
                return found
        return None

    expected = (
        f"train-images-idx3-ubyte, train-labels-idx1-ubyte and the two t10k files, gzipped or not, there or in {places[1]}"
    )
    if files() is None and download:
        import torchvision

        _make(getattr(torchvision.datasets, title), title, path, expected, True)
    found = files()
    if found is None:
        raise _missing(title, path, expected)
    train, train_labels, test, test_labels = map(image_idx.read, found)
    return {"train": (train, train_labels), "test": (test, test_labels)}, class_names


def _read_arrays(name: str, path: str, download: bool) -> tuple[dict[str, Arrays], list[str]]:
    import torchvision

    title, expected, _ = ARRAYS[name]
    cls, splits, class_names = getattr(torchvision.datasets, title), {}, None
    for split in ("train", "test"):
        options = {"train": split == "train"} if title.startswith("CIFAR") else {"split": split}
        made = _make(cls, title, path, f"{expected}, as torchvision keeps it", download, **options)
        images, labels = np.asarray(made.data), np.asarray(getattr(made, "targets", getattr(made, "labels", None)))
        splits[split] = (images if images.shape[-1] == 3 else np.ascontiguousarray(images.transpose(0, 2, 3, 1)), labels)
        class_names = getattr(made, "classes", None) or class_names
    return splits, class_names or [str(n) for n in range(10)]


def _in_memory(name: str, read: Callable[..., Any], grey: bool) -> Callable[..., Source]:
    def make(
        seed: int,
        *,
        path: SomePath,
        download: Download = False,
        image_size: Size | None = None,
        channels: Channels = 1 if grey else 3,
        augment: AugmentationList | None = None,
        val: Fraction = FRACTION,
        split_seed: int = 0,
        batch_size: PositiveInt = 32,
        drop_last: bool = False,
    ) -> Source:
        arrays, class_names = read(name, path, download)
        size = (image_size, image_size) if isinstance(image_size, int) else tuple(image_size or arrays["train"][0].shape[1:3])
        decoding = Decoding(size[0], size[1], channels=channels)
        images = {split: _fitted(pixels, decoding) for split, (pixels, _) in arrays.items()}
        labels = {split: np.asarray(codes, np.int64) for split, (_, codes) in arrays.items()}
        count = len(labels["train"])
        listing = Listing(Names(path), class_names, labels["train"], {"train": np.arange(count)})
        parts = divide(listing, np.ones(count, bool), val, None, split_seed)
        chosen = {split: images["train"][torch.from_numpy(rows)] for split, rows in parts.items()} | {"test": images["test"]}
        targets = {split: torch.from_numpy(labels["train"][rows]) for split, rows in parts.items()}
        targets["test"] = torch.from_numpy(labels["test"])
        _tell_duplicates(arrays, parts)
        return ImageSource(
            seed, chosen, targets, class_names, decoding, size, augment=augment, batch_size=batch_size, drop_last=drop_last
        )

    return make


def _tell_duplicates(arrays: Mapping[str, Arrays], parts: Mapping[str, np.ndarray]) -> None:
    numbers = {split: np.arange(len(pixels)) for split, (pixels, _) in arrays.items()}
    names = [f"{split} image {number}" for split, rows in numbers.items() for number in rows]
    digests = [blake2b(image.tobytes(), digest_size=8).digest() for pixels, _ in arrays.values() for image in pixels]
    rows = {**parts, "test": len(numbers["train"]) + numbers["test"]}
    tell_duplicates(names, np.frombuffer(b"".join(digests), np.uint64), rows)


def _fitted(images: np.ndarray, decoding: Decoding) -> torch.Tensor:
    """Bring images to size and channels by the code that files go through; those that fit are only turned."""
    shape = (1 if images.ndim == 3 else 3, *images.shape[1:3])
    if shape != decoding.shape:
        return torch.from_numpy(np.stack([decoding.fit(Image.fromarray(image)) for image in images]))
    turned = images[:, None] if images.ndim == 3 else np.ascontiguousarray(images.transpose(0, 3, 1, 2))
    return torch.from_numpy(turned.copy() if not turned.flags.writeable else turned)


# Large sets: files, decoded into the cache. --------------------------------------------------------------------------

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


def _from_files(name: str) -> Callable[..., Source]:
    title, splits, folder, _ = FILES[name]

    def make(
        seed: int,
        *,
        path: SomePath,
        download: Download = False,
        image_size: Size,
        channels: Channels = 3,
        resize: Resize = "crop",
        cache_size: Size | None = None,
        augment: AugmentationList | None = None,
        val: Fraction | None = None,
        split_seed: int = 0,
        on_bad: OnBad = "error",
        max_pixels: MaxPixels = MAX_PIXELS,
        cache: Cache | None = None,
        num_workers: NonNegativeInt | None = None,
        batch_size: PositiveInt = 32,
        drop_last: bool = False,
    ) -> Source:
        wanted = preparation(image_size, cache_size, channels, resize, max_pixels, on_bad, cache, num_workers)
        fraction = FRACTION if val is None and "val" not in splits else val
        return assemble(
            seed, _listing(title, splits, folder, path, download), wanted, val=fraction, test=None, split_seed=split_seed,
            augment=augment, batch_size=batch_size, drop_last=drop_last,
        )  # fmt: skip

    return make


def _listing(title: str, splits: dict[str, str], folder: str, path: str, download: bool) -> Listing:
    import torchvision

    cls, files = getattr(torchvision.datasets, title), Names(path)
    labels: list[int] = []
    rows: dict[str, np.ndarray] = {}
    class_names: list[str] = []
    for ours, theirs in splits.items():
        expected = f"the folder {os.path.join(path, folder)}, as torchvision keeps it"
        made = _make(cls, title, path, expected, download, split=theirs)
        images = getattr(made, "_image_files", None) or made._images
        for image in images:
            files.add(os.path.relpath(image, path), stamp(os.stat(image)))
        rows[ours] = np.arange(len(labels), len(labels) + len(images))
        labels += list(made._labels)
        class_names = list(getattr(made, "classes", [])) or class_names
    codes = np.array(labels, np.int64)
    return Listing(files, class_names or [str(n) for n in range(int(codes.max()) + 1)], codes, rows)


def _enter(name: str, make: Callable[..., Source], about: str) -> None:
    make.__doc__ = f"{about}\n\n{TOLD}"
    make.__name__ = make.__qualname__ = name
    sources(name)(make)


TOLD = """`path` is the folder that torchvision calls root; `download: true` fetches what is not there. A split without files of
its own is drawn from the training images by `split_seed`, every class keeping its share. Other choices are as for
image_folder."""

for _name, _mnist in MNIST_LIKE.items():
    _enter(_name, _in_memory(_name, _read_mnist_like, grey=True), _mnist[2])
for _name, _arrays in ARRAYS.items():
    _enter(_name, _in_memory(_name, _read_arrays, grey=False), _arrays[2])
for _name, _files in FILES.items():
    _enter(_name, _from_files(_name), _files[3])
