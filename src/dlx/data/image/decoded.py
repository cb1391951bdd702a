"""Files to stored pixels, part by part, with what is wrong with any of them."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dlx.data.image import cache as image_cache
from dlx.data.image.names import Names
from dlx.data.image.on_demand import OnDemand
from dlx.data.image.pixels import DecodedImages, Images, StoredImages, held
from dlx.data.image.store import Store
from dlx.data.image.unpacking import Plain, is_packed, unpacked
from dlx.errors import ComponentError
from dlx.processors.image.decoding import Decoding

BAD_FILES_TOLD = 10  # bad files that the report names
OnBad = Literal["error", "skip"]
Splits = Mapping[str, np.ndarray]  # the rows of each part of a list of files, in ascending order
log = logging.getLogger("dlx")


@dataclass
class Found:
    """What decoding every file once has told, and where pixels come from: a cache, or decoding when asked for.

    `sizes` `(N, 2)` are width and height of the upright images; rows of parts that were not asked for are 0.
    """

    faults: dict[int, str]
    digests: np.ndarray
    sizes: np.ndarray
    images: Callable[[np.ndarray], Images]


def decode(
    names: Names, splits: Splits, parts: Sequence[str], decoding: Decoding, store: Store | None, num_workers: int
) -> Found:
    """Decode parts of a list, each into a cache of its own: another training image leaves that of the test images valid."""
    faults, digests, sizes = dict[int, str](), np.zeros(len(names.names), np.uint64), np.zeros((len(names.names), 2), np.int64)
    stored: dict[str, image_cache.Decoded] = {}
    if store is None:
        _refuse_packed(names, [splits[part] for part in parts])
    else:
        store.open()
    with unpacked(names.archives, store.place) if store else nullcontext(Plain(names.archives, "")) as plain:
        for part in parts:
            rows = splits[part]
            some = names.part(rows)
            looked: image_cache.Looked | image_cache.Decoded
            if store:
                looked = stored[part] = image_cache.decoded(some, decoding, store, num_workers, plain)
            else:
                looked = image_cache.looked_at(some, decoding, plain, num_workers)
            digests[rows], sizes[rows] = looked.digests, looked.sizes
            faults |= {int(rows[row]): why for row, why in looked.faults.items()}
    if store is None:
        anew = OnDemand(decoding, lambda rows: names.listed(rows, names.archives), num_workers)
        return Found(faults, digests, sizes, lambda rows: DecodedImages(anew, decoding.shape, rows))
    return Found(faults, digests, sizes, lambda rows: _stored(splits, stored, rows))


def _refuse_packed(names: Names, rows: Sequence[np.ndarray]) -> None:
    used = {number for part in rows for number in names.part(part).used()}
    if packed := [names.archives[number] for number in sorted(used) if is_packed(names.archives[number])]:
        raise ComponentError(f"{packed[0]} is compressed, so that its images can be read only by way of a cache", ("cache",))


def _stored(splits: Splits, stored: Mapping[str, image_cache.Decoded], rows: np.ndarray) -> Images:
    """Find where the images of a split lie: all of them in the cache of one part."""
    part = next(part for part in stored if np.isin(rows, splits[part]).all())
    kept = stored[part]
    return held(StoredImages(kept.file, kept.shape, np.searchsorted(splits[part], rows)))


def sift(names: Sequence[str], faults: Mapping[int, str], on_bad: OnBad) -> np.ndarray:
    """Mark the files that can be used `(N,)`; raises ComponentError with a report of the others unless they are skipped."""
    good = np.ones(len(names), bool)
    if not faults:
        return good
    told = [f"{names[row]}: {faults[row]}" for row in sorted(faults)]
    kinds = Counter(why.partition(":")[0] for why in faults.values())
    report(told, f"{len(faults):,} of {len(names):,} images cannot be used", kinds, on_bad)
    good[list(faults)] = False
    return good


def report(told: Sequence[str], whole: str, kinds: Counter[str], on_bad: OnBad) -> None:
    """Tell the first faults of all, each with its place; raises ComponentError unless they are skipped."""
    summary = ", ".join(f"{count:,} {kind}" for kind, count in kinds.most_common())
    lines = [f"  {one}" for one in told[:BAD_FILES_TOLD]]
    lines += [f"  and {len(told) - BAD_FILES_TOLD:,} more"] if len(told) > BAD_FILES_TOLD else []
    if on_bad == "error":
        remedy = "repair or remove them, or leave them out by on_bad: skip"
        raise ComponentError("\n".join([f"{whole} ({summary}); {remedy}", *lines]), ("path",))
    log.warning("%s", "\n".join([f"skipped: {whole} ({summary})", *lines]))
