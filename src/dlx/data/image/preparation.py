"""From a list of image files to a data set: decode, refuse or skip what is bad, divide, and tell of duplicates."""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field, PositiveInt

from dlx.augmentation.pipeline import AugmentationList
from dlx.core import Processor
from dlx.data.image.decoded import OnBad, decode, sift
from dlx.data.image.listing import Known, Listing, needed
from dlx.data.image.pixels import Images
from dlx.data.image.source import ImageSource
from dlx.data.image.splits import digest, divide, refuse_untrained, tell_duplicates
from dlx.data.image.store import Cache, Store, folder
from dlx.data.options import Batching, Checkpoint
from dlx.data.splits import Fraction
from dlx.errors import ComponentError, UsageError
from dlx.processors.image.decoding import MAX_PIXELS, Decoding, Resize
from dlx.processors.image.processor import ImageProcessor
from dlx.processors.image.reader import ImageReader
from dlx.registry.types import OptionGroup

MOST_WORKERS = 256
Size = PositiveInt | Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]
MaxPixels = Annotated[int, Field(gt=0, le=MAX_PIXELS)]
NumWorkers = Annotated[int, Field(ge=0, le=MOST_WORKERS)]
Channels = Literal[1, 3]
Wanted = frozenset[str] | None  # the only splits that are needed


@dataclass(frozen=True, kw_only=True)
class ImageOptions(OptionGroup):
    """How files of images become what a model reads; the same for all data sets of files."""

    image_size: Size
    channels: Channels = 3
    resize: Resize = "squash"
    cache_size: Size | None = None
    augment: AugmentationList | None = None
    check_endings: bool = True
    on_bad: OnBad = "error"
    max_pixels: MaxPixels = MAX_PIXELS
    cache: Cache | None = None
    num_workers: NumWorkers | None = None


@dataclass(frozen=True)
class DrawnSplits(OptionGroup):
    """The shares that validation and test have of images that are not divided yet, and what they are drawn by."""

    val: Fraction | None = None
    test: Fraction | None = None
    split_seed: int = 0


@dataclass(frozen=True)
class Preparation:
    """How files become stored pixels: `size` is what the model reads, `decoding` what is stored.

    `processor` is that of a checkpoint, which has been fitted before; `wanted` are the only splits that are needed.
    """

    size: tuple[int, int]
    decoding: Decoding
    on_bad: OnBad
    store: Store | None
    num_workers: int
    processor: ImageReader | None
    wanted: Wanted
    augment: Sequence[Any] | None = None

    @property
    def known(self) -> Known | None:
        """Tell what a model was trained on before, and which splits are needed now."""
        return Known(self.processor.class_names, self.wanted) if self.processor else None


def preparation(kept: Checkpoint, options: ImageOptions, kind: type[ImageReader] = ImageProcessor) -> Preparation:
    """Put the choices together; raises ComponentError where the stored images are smaller than what is read."""
    size = pair(options.image_size)
    stored = size if options.cache_size is None else pair(options.cache_size)
    if stored[0] < size[0] or stored[1] < size[1]:
        raise ComponentError(f"is less than image_size {size[0]}x{size[1]}", ("cache_size",))
    decoding = Decoding(
        *stored,
        channels=options.channels,
        resize=options.resize,
        max_pixels=options.max_pixels,
        check_endings=options.check_endings,
    )
    processor, place = fitted(kept.processor, decoding, size, kind), folder(options.cache)
    count = min(os.cpu_count() or 1, MOST_WORKERS) if options.num_workers is None else options.num_workers
    wanted = kept.wanted_splits if processor else None
    store = Store(place) if place else None
    return Preparation(size, decoding, options.on_bad, store, count, processor, wanted, options.augment)


def pair(size: Any) -> tuple[int, int]:
    """Give a size as height and width; one number is both."""
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def fitted(
    processor: Processor | None, decoding: Decoding, size: Sequence[int], kind: type[ImageReader] = ImageProcessor
) -> ImageReader | None:
    """Return a checkpoint's processor where it is one of images that become what the config says; else raise UsageError."""
    if processor is None:
        return None
    if not isinstance(processor, ImageReader):
        raise UsageError(f"the checkpoint's processor, '{processor.name}', reads no images")
    if not isinstance(processor, kind):
        raise UsageError(f"the checkpoint's processor is '{processor.name}', but the data wants '{kind.name}'")
    if tuple(processor.size) != tuple(size):
        raise ComponentError(f"was {_size(processor.size)} in training, and is {_size(size)} now", ("image_size",))
    then, now = processor.decoding, decoding
    if (then.height, then.width) != (now.height, now.width):
        sizes = (_size((one.height, one.width)) for one in (then, now))
        raise ComponentError("was {} in training, and is {} now".format(*sizes), ("cache_size",))
    for key in ("channels", "resize", "max_pixels", "check_endings"):
        before, after = then.state_dict()[key], now.state_dict()[key]
        if before != after:
            raise ComponentError(f"was {before} in training, and is {after} now", (key,))
    return processor


def _size(size: Sequence[int]) -> str:
    return f"[{size[0]}, {size[1]}]"


def assemble(seed: int, listing: Listing, wanted: Preparation, drawn: DrawnSplits, batching: Batching) -> ImageSource:
    """Make the data set of a listing; raises ComponentError, with all bad files in one report."""
    listing.files.report()
    parts = needed(listing.splits, listing.pool, wanted.wanted)
    found = decode(listing.files, listing.splits, sorted(parts), wanted.decoding, wanted.store, wanted.num_workers)
    good = sift(listing.files.names, found.faults, wanted.on_bad)
    splits = divide(listing, good, drawn.val, drawn.test, drawn.split_seed, parts)
    chosen = choose(splits, wanted.wanted)
    if "train" in chosen and wanted.processor is None:
        refuse_untrained(listing, chosen["train"])
    tell_duplicates(listing.files.names, found.digests, chosen)
    images: dict[str, Images] = {split: found.images(rows) for split, rows in chosen.items()}
    targets = {split: torch.from_numpy(listing.labels[rows]) for split, rows in chosen.items()}
    source = ImageSource(
        seed, images, targets, listing.class_names, wanted.decoding, wanted.size, processor=wanted.processor,
        augment=wanted.augment, batching=batching,
    )  # fmt: skip
    source.facts = {**source.facts, "skipped_count": len(found.faults)}  # kept in the run with the other facts
    source.drawn = drawn_splits(chosen, listing)
    source.digests = {
        split: digest(listing.class_names, listing.labels[rows], found.digests[rows]) for split, rows in chosen.items()
    }
    return source


def drawn_splits(chosen: Mapping[str, np.ndarray], listing: Listing) -> frozenset[str]:
    """Tell which splits are drawn from the files of the training split."""
    return frozenset(split for split in chosen if split not in listing.splits and split != "train")


def choose(splits: Mapping[str, np.ndarray], wanted: Wanted) -> dict[str, np.ndarray]:
    """Give the wanted splits of those there are; raises UsageError where there is none of them."""
    chosen = {split: rows for split, rows in splits.items() if wanted is None or split in wanted}
    if not any(len(rows) for rows in chosen.values()):
        missing = " or ".join(sorted(wanted or ()))
        there = ", ".join(split for split in ("train", "val", "test") if len(splits.get(split, ())))
        raise UsageError(f"the data has no split '{missing}'; it has {there}")
    return chosen
