"""The splits of a listing of images: what is needed for them, how missing ones are drawn, and what tells them apart."""

from __future__ import annotations

import hashlib
import json
import logging
from collections.abc import Collection, Iterable, Mapping, Sequence

import numpy as np

from dlx.data.image.listing import WHOLE, Listing
from dlx.data.image.names import SHOWN
from dlx.data.splits import draw
from dlx.errors import ComponentError

FRACTION = 0.2  # of the images, where nothing else gives a split
log = logging.getLogger("dlx")


def divide(
    listing: Listing,
    good: np.ndarray,
    val: float | None,
    test: float | None,
    split_seed: int,
    parts: Collection[str] | None = None,
) -> dict[str, np.ndarray]:
    """Give the rows of each split: those of the listing, and what is drawn from its training images, class by class.

    Nothing is drawn where the training images are none of the `parts` that are needed (None: all).
    """
    splits = {split: rows[good[rows]] for split, rows in listing.splits.items()}
    for name, fraction in (("val", val), ("test", test)):
        if fraction is not None and name in splits:
            raise ComponentError(f"cannot be drawn: the data has a split {name} of its own", (name,))
    if listing.pool not in (splits if parts is None else parts):
        return {split: rows for split, rows in splits.items() if split != listing.pool}
    whole = listing.pool == WHOLE
    default = {"val": 0.0 if "val" in splits else FRACTION, "test": FRACTION if whole else 0.0}
    rows = splits.pop(listing.pool)
    wanted = {"val": default["val"] if val is None else val, "test": default["test"] if test is None else test}
    drawn = _draw(listing, rows, wanted, split_seed)
    return splits | {name: rows[np.array(numbers, np.int64)] for name, numbers in drawn.items()}


def _draw(listing: Listing, rows: np.ndarray, fractions: Mapping[str, float], split_seed: int) -> dict[str, list[int]]:
    if not listing.labelled:
        return draw(len(rows), fractions["val"], fractions["test"], split_seed, None, "image")
    labels = listing.labels[rows]
    try:
        return draw(len(rows), fractions["val"], fractions["test"], split_seed, labels.tolist())
    except ComponentError as error:
        if sum(fractions.values()) >= 1:
            raise
        counts = np.bincount(labels, minlength=len(listing.class_names))
        raise ComponentError(_too_few(listing.class_names, counts, fractions), error.path) from None


def _too_few(class_names: Sequence[str], counts: np.ndarray, fractions: Mapping[str, float]) -> str:
    parts = [name for name, fraction in fractions.items() if fraction]
    shared = ", ".join(["train", *parts[:-1]]) + f" and {parts[-1]}"
    rarest = [code for code in np.argsort(counts, kind="stable").tolist() if 0 < counts[code] <= len(parts)]
    if rarest:
        told = ", ".join(f"'{class_names[code]}' ({_images(int(counts[code]))})" for code in rarest[:SHOWN])
        reason = f"too few images of {told}{', ...' if len(rarest) > SHOWN else ''}"
    else:
        least = min((name for name in parts), key=lambda name: fractions[name])
        kinds = int((counts > 0).sum())
        reason = f"{fractions[least]:g} of {int(counts.sum()):,} images are too few for {least} to have all {kinds} classes"
    without = " and ".join(f"{name}: 0" for name in parts)
    return f"the classes cannot be shared out between {shared}: {reason}; add images, or draw none by {without}"


def _images(count: int) -> str:
    return "one image only" if count == 1 else f"{count} images"


def refuse_untrained(listing: Listing, train: np.ndarray) -> None:
    """Raise ComponentError where no training image is left of a class."""
    counts = np.bincount(listing.labels[train], minlength=len(listing.class_names))
    if missing := np.flatnonzero(counts == 0).tolist():
        raise ComponentError(f"no training image is left of the class '{listing.class_names[missing[0]]}'", ("path",))


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


def digest(class_names: Sequence[str], labels: np.ndarray, digests: np.ndarray) -> str:
    """Hash a split: its classes, and of each image in turn the label and the digest of its bytes."""
    found = hashlib.sha256(json.dumps(list(class_names)).encode())
    found.update(np.stack([labels.astype("<u8"), digests.astype("<u8")], 1).tobytes())
    return found.hexdigest()


def digest_of(arrays: Iterable[Iterable[np.ndarray]]) -> str:
    """Hash arrays, of each its type and shape too."""
    found = hashlib.sha256()
    for some in arrays:
        for array in some:
            found.update(f"{array.dtype.str}{array.shape}".encode() + np.ascontiguousarray(array).tobytes())
    return found.hexdigest()
