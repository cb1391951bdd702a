"""From images with annotations to a data set of boxes."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence

import numpy as np
import torch

from dlx.augmentation.carrying import Boxes, straight
from dlx.data.image.annotated import OTHER_SIZE, BoxFiles, Fault, kinds_of, parts_of
from dlx.data.image.box_source import BoxSource, padded
from dlx.data.image.decoded import Found, decode, report
from dlx.data.image.instances import Instances, Shape
from dlx.data.image.preparation import DrawnSplits, Preparation, choose, drawn_splits
from dlx.data.image.splits import digest_of, divide, tell_duplicates
from dlx.data.options import Batching
from dlx.processors.image.decoding import Decoding

log = logging.getLogger("dlx")
Checked = tuple[np.ndarray, np.ndarray, np.ndarray]  # of one image: boxes (m, 4), classes (m,), crowds (m,)


def assemble_boxes(seed: int, found: BoxFiles, wanted: Preparation, drawn: DrawnSplits, batching: Batching) -> BoxSource:
    """Make the data set; raises ComponentError, with all faults of images and annotations in one report."""
    found.files.report()
    listing = found.listing(wanted.known)
    parts = parts_of(listing, wanted.known)
    decoded = decode(listing.files, listing.splits, parts, wanted.decoding, wanted.store, wanted.num_workers)
    checked, good = _sift(found, listing.class_names, decoded, np.concatenate([listing.splits[part] for part in parts]))
    if found.faults:
        whole = f"{len(found.faults):,} faults in {len(listing.files.names):,} images and their annotations"
        report(list(map(str, found.faults)), whole, kinds_of(found.faults), wanted.on_bad)
    splits = divide(listing, good, drawn.val, drawn.test, drawn.split_seed, parts)
    chosen = choose(splits, wanted.wanted)
    tell_duplicates(listing.files.names, decoded.digests, chosen)
    boxes, instances = {}, {}
    for split, rows in chosen.items():
        stored = _stored([checked[row] for row in rows], decoded.sizes[rows], wanted.decoding)
        if found.shapes is not None:
            instances[split] = _instances(stored, [found.shapes[row] for row in rows], wanted.decoding)
        boxes[split] = stored.trimmed(stored.order())
    _tell_tiny(boxes)
    source = BoxSource(
        seed, {split: decoded.images(rows) for split, rows in chosen.items()}, boxes,
        {split: torch.from_numpy(decoded.sizes[rows]) for split, rows in chosen.items()}, listing.class_names, wanted.decoding,
        wanted.size, instances=instances, processor=wanted.processor, augment=wanted.augment, batching=batching,
    )  # fmt: skip
    source.facts = {**source.facts, "skipped_count": int((~good).sum())}
    source.drawn = drawn_splits(chosen, listing)
    meaning = np.array([*listing.class_names, *(["with masks"] if instances else [])])
    source.digests = {
        split: digest_of([[meaning, decoded.digests[rows]], *(checked[row] for row in rows)]) for split, rows in chosen.items()
    }
    return source


def _sift(found: BoxFiles, names: Sequence[str], decoded: Found, rows: np.ndarray) -> tuple[dict[int, Checked], np.ndarray]:
    """Check the boxes of every image that is decoded; marks the images that can be used `(N,)`."""
    checked, good = {}, np.ones(len(found.files.names), bool)
    for row in rows.tolist():
        before = len(found.faults)
        if why := decoded.faults.get(row):
            kind, _, detail = why.partition(": ")
            found.faults.append(Fault(found.files.names[row], "image", kind, detail))
            good[row] = False
            continue
        checked[row] = found.checked(row, decoded.sizes[row].tolist(), names)
        good[row] = not any(fault.kind == OTHER_SIZE for fault in found.faults[before:])
    return checked, good


def _stored(checked: Sequence[Checked], sizes: np.ndarray, decoding: Decoding) -> Boxes:
    """Bring boxes to pixels of the stored images; of those that these cut off, what is left."""
    boxes = padded(*(list(column) for column in zip(*checked, strict=True))) if len(checked) else padded([], [])
    places = torch.tensor([decoding.place(*size) for size in sizes.tolist()], dtype=torch.float32).view(-1, 4)
    scale = places[:, 2:] / torch.from_numpy(sizes)
    if decoding.resize == "crop":
        start = -places[:, :2] / scale
        return boxes.move(straight(1 / scale[:, 0], start[:, 0], 1 / scale[:, 1], start[:, 1], len(sizes)), decoding.shape[1:])
    moved = boxes.box * scale.repeat(1, 2)[:, None] + places[:, :2].repeat(1, 2)[:, None]
    return Boxes(torch.where(boxes.label[..., None] >= 0, moved, -1.0), boxes.label, boxes.crowd)


def _instances(boxes: Boxes, shapes: Sequence[Sequence[Shape]], decoding: Decoding) -> Instances:
    """Give the shapes of the boxes that are there."""
    there = (boxes.label >= 0).tolist()
    kept = [[one for one, stays in zip(some, row, strict=False) if stays] for some, row in zip(shapes, there, strict=True)]
    return Instances(kept, decoding)


def _tell_tiny(boxes: Mapping[str, Boxes]) -> None:
    for split, found in boxes.items():
        sides = (found.box[..., 2:] - found.box[..., :2])[found.label >= 0]
        if tiny := int((sides < 1).any(-1).sum()):
            log.warning(
                "%s: %s of %s boxes are less than a pixel wide or high at this size", split, f"{tiny:,}", f"{len(sides):,}"
            )
