"""From a list of image files to a data set: decode, refuse or skip what is bad, divide, and tell of duplicates."""

from __future__ import annotations

import logging
import os
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any, Literal

import numpy as np
import torch
from pydantic import Field, PositiveInt

from dlx.data import image_cache
from dlx.data.image_archives import TAR
from dlx.data.image_listing import Listing, Names
from dlx.data.image_on_demand import OnDemand
from dlx.data.image_pixels import DecodedImages, Images, StoredImages, held
from dlx.data.image_source import ImageSource
from dlx.data.splits import draw
from dlx.errors import Misfit
from dlx.processors.image_decoding import MAX_PIXELS, Decoding, Resize

FRACTION = 0.2  # of the images, where nothing else gives a split
TOLD = 10  # bad files that the report names
Size = PositiveInt | Annotated[list[PositiveInt], Field(min_length=2, max_length=2)]
MaxPixels = Annotated[int, Field(gt=0, le=MAX_PIXELS)]
OnBad = Literal["error", "skip"]
Channels = Literal[1, 3]
log = logging.getLogger("dlx")


@dataclass(frozen=True)
class Preparation:
    """How files become stored pixels: `size` is what the model reads, `decoding` what is stored."""

    size: tuple[int, int]
    decoding: Decoding
    on_bad: OnBad
    cache: str | None
    num_workers: int


def preparation(
    image_size: Any,
    cache_size: Any,
    channels: int,
    resize: Resize,
    max_pixels: int,
    on_bad: OnBad,
    cache: str | None,
    workers: int | None,
) -> Preparation:
    """Put the choices together; raises Misfit where the stored images are smaller than what is read."""
    size = _pair(image_size)
    stored = size if cache_size is None else _pair(cache_size)
    if stored[0] < size[0] or stored[1] < size[1]:
        raise Misfit(f"is less than image_size {size[0]}x{size[1]}", ("cache_size",))
    decoding = Decoding(*stored, channels=channels, resize=resize, max_pixels=max_pixels)
    return Preparation(size, decoding, on_bad, image_cache.folder(cache), (os.cpu_count() or 1) if workers is None else workers)


def _pair(size: Any) -> tuple[int, int]:
    return (size, size) if isinstance(size, int) else (size[0], size[1])


def assemble(
    seed: int,
    listing: Listing,
    wanted: Preparation,
    *,
    val: float | None,
    test: float | None,
    split_seed: int,
    augment: Sequence[Any] | None,
    batch_size: int,
    drop_last: bool,
) -> ImageSource:
    """Make the data set of a listing; raises Misfit, with all bad files in one report."""
    listing.files.report()
    found = _decode(listing.files, wanted)
    good = _sift(listing, found.faults, wanted.on_bad)
    splits = divide(listing, good, val, test, split_seed)
    tell_duplicates(listing.files.names, found.digests, splits)
    images: dict[str, Images] = {split: found.images(rows) for split, rows in splits.items()}
    targets = {split: torch.from_numpy(listing.labels[rows]) for split, rows in splits.items()}
    source = ImageSource(
        seed, images, targets, listing.class_names, wanted.decoding, wanted.size,
        augment=augment, batch_size=batch_size, drop_last=drop_last,
    )  # fmt: skip
    source.facts = {**source.facts, "skipped_count": len(found.faults)}  # kept in the run with the other facts
    return source


@dataclass
class _Found:
    """What decoding every file once has told, and where pixels come from: a cache, or decoding when asked for."""

    faults: Mapping[int, str]
    digests: np.ndarray
    images: Callable[[np.ndarray], Images]


def _decode(files: Names, wanted: Preparation) -> _Found:
    if wanted.cache:
        cached = image_cache.decoded(files, wanted.decoding, wanted.cache, wanted.num_workers)
        return _Found(cached.faults, cached.digests, lambda rows: held(StoredImages(cached.file, cached.shape, rows)))
    if packed := [name for name in files.archives if not name.lower().endswith(TAR[0])]:
        raise Misfit(f"{packed[0]} is compressed, so that its images can be read only by way of a cache", ("cache",))
    faults, digests = image_cache.decode_to(os.devnull, files, wanted.decoding, files.archives, wanted.num_workers)
    decode = OnDemand(wanted.decoding, lambda rows: files.listed(rows, files.archives), wanted.num_workers)
    return _Found(
        {int(row): why for row, why in faults.items()}, digests, lambda rows: DecodedImages(decode, wanted.decoding.shape, rows)
    )


def _sift(listing: Listing, faults: Mapping[int, str], on_bad: OnBad) -> np.ndarray:
    good = np.ones(len(listing.labels), bool)
    if not faults:
        return good
    names, kinds = listing.files.names, Counter(why.partition(":")[0] for why in faults.values())
    summary = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
    told = [f"  {names[row]}: {faults[row]}" for row in sorted(faults)[:TOLD]]
    told += [f"  and {len(faults) - TOLD:,} more"] if len(faults) > TOLD else []
    whole = f"{len(faults):,} of {len(names):,} images cannot be used ({summary})"
    if on_bad == "error":
        raise Misfit("\n".join([f"{whole}; repair or remove them, or leave them out by on_bad: skip", *told]), ("path",))
    log.warning("%s", "\n".join([f"skipped: {whole}", *told]))
    good[list(faults)] = False
    return good


def divide(listing: Listing, good: np.ndarray, val: float | None, test: float | None, split_seed: int) -> dict[str, np.ndarray]:
    """Give the rows of each split: those of the listing, and what is drawn from its training images, class by class."""
    splits = {split: rows[good[rows]] for split, rows in listing.splits.items()}
    for name, fraction in (("val", val), ("test", test)):
        if fraction is not None and name in splits:
            raise Misfit(f"cannot be drawn: the data has a split {name} of its own", (name,))
    whole = splits.pop("all", None)
    rows = splits.pop("train") if whole is None else whole
    default = {"val": 0.0 if "val" in splits else FRACTION, "test": FRACTION if whole is not None else 0.0}
    drawn = draw(
        len(rows), default["val"] if val is None else val, default["test"] if test is None else test,
        split_seed, listing.labels[rows].tolist(),
    )  # fmt: skip
    splits |= {name: rows[np.array(numbers, np.int64)] for name, numbers in drawn.items()}
    if missing := np.flatnonzero(
        np.bincount(listing.labels[splits["train"]], minlength=len(listing.class_names)) == 0
    ).tolist():
        raise Misfit(f"no training image is left of the class '{listing.class_names[missing[0]]}'", ("path",))
    return splits


def tell_duplicates(names: Sequence[str], digests: np.ndarray, splits: Mapping[str, np.ndarray]) -> None:
    """Warn of images that lie in two splits: names and digests of all, and the rows of each split."""
    ordered = [split for split in ("train", "val", "test") if split in splits]
    for i, one in enumerate(ordered):
        for other in ordered[i + 1 :]:
            same, here, there = np.intersect1d(digests[splits[one]], digests[splits[other]], return_indices=True)
            if not len(same):
                continue
            pairs = [f"{names[splits[one][a]]} = {names[splits[other][b]]}" for a, b in zip(here[:3], there[:3], strict=True)]
            count = int(np.isin(digests[splits[other]], same).sum())
            more = ", ..." if len(same) > 3 else ""
            verb = "image is" if count == 1 else "images are"
            log.warning("%s %s %s in %s too, byte for byte: %s%s", f"{count:,}", other, verb, one, ", ".join(pairs), more)
