"""From images with masks to a data set."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from dlx.data.image.annotated import OTHER_SIZE, Fault, kinds_of, listing_of, parts_of
from dlx.data.image.decoded import Found, decode, report
from dlx.data.image.mask_files import MaskFiles
from dlx.data.image.mask_source import MaskSource
from dlx.data.image.preparation import DrawnSplits, Preparation, choose, drawn_splits
from dlx.data.image.splits import digest_of, divide, tell_duplicates
from dlx.data.options import Batching
from dlx.errors import UsageError
from dlx.processors.image.mask_decoding import MaskDecoding


def assemble_masks(
    seed: int,
    found: MaskFiles,
    class_names: Sequence[str],
    decoding: MaskDecoding,
    wanted: Preparation,
    drawn: DrawnSplits,
    batching: Batching,
) -> MaskSource:
    """Make the data set; raises ComponentError, with all faults of images and masks in one report."""
    if wanted.known and list(wanted.known.class_names) != list(class_names):
        raise UsageError(f"the model was trained on other classes: {', '.join(wanted.known.class_names[:10])}")
    listing = listing_of(found.images, class_names, found.splits)
    parts = parts_of(listing, wanted.known)
    images = decode(found.images, listing.splits, parts, wanted.decoding, wanted.store, wanted.num_workers)
    masks = decode(found.masks, listing.splits, parts, decoding, wanted.store, wanted.num_workers)
    good = _sift(found, images, masks, np.concatenate([listing.splits[part] for part in parts]))
    if found.faults:
        whole = f"{len(found.faults):,} faults in {len(found.splits):,} images and their masks"
        report(list(map(str, found.faults)), whole, kinds_of(found.faults), wanted.on_bad)
    chosen = choose(divide(listing, good, drawn.val, drawn.test, drawn.split_seed, parts), wanted.wanted)
    tell_duplicates(found.images.names, images.digests, chosen)
    source = MaskSource(
        seed, {split: images.images(rows) for split, rows in chosen.items()},
        {split: masks.images(rows) for split, rows in chosen.items()}, class_names, wanted.decoding, wanted.size,
        processor=wanted.processor, augment=wanted.augment, batching=batching,
    )  # fmt: skip
    source.facts = {**source.facts, "skipped_count": int((~good).sum())}
    source.drawn = drawn_splits(chosen, listing)
    meaning = np.array([*class_names, str(replace(decoding, height=1, width=1))])
    source.digests = {
        split: digest_of([[meaning, images.digests[rows], masks.digests[rows]]]) for split, rows in chosen.items()
    }
    return source


def _sift(found: MaskFiles, images: Found, masks: Found, rows: np.ndarray) -> np.ndarray:
    """Mark the images that can be used `(N,)`; notes the faults of the others."""
    good = np.ones(len(found.splits), bool)
    for row in rows.tolist():
        faults = []
        for what, decoded, names in (("image", images, found.images.names), ("mask", masks, found.masks.names)):
            if why := decoded.faults.get(row):
                kind, _, detail = why.partition(": ")
                faults.append(Fault(names[row], what, kind, detail))
        if not faults and (images.sizes[row] != masks.sizes[row]).any():
            sizes = ["x".join(map(str, decoded.sizes[row])) for decoded in (masks, images)]
            detail = f"it has {sizes[0]}, but {found.images.names[row]} has {sizes[1]} once it is upright"
            faults.append(Fault(found.masks.names[row], "mask", OTHER_SIZE, detail))
        found.faults += faults
        good[row] = not faults
    return good
