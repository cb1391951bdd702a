"""A data set of images with boxes."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from dlx.augmentation.carrying import Boxes, Carried, InstanceMasks, straight
from dlx.augmentation.pipeline import Pipeline
from dlx.core import Batch
from dlx.data.image.instances import Instances
from dlx.data.image.pixel_source import PixelSource, statistics
from dlx.data.image.pixels import Images
from dlx.data.image.source import image_facts
from dlx.data.options import Batching
from dlx.processors.image.boxes import BoxProcessor, places
from dlx.processors.image.decoding import Decoding
from dlx.processors.image.reader import ImageReader


class BoxSource(PixelSource):
    """Splits of images, each with boxes in pixels of the stored image.

    A batch has `input` float32 `(B, C, H, W)`; `box` float32 `(B, M, 4)` as x1, y1, x2, y2 in pixels of `input`, `box_label`
    int64 `(B, M)`, both padded with -1, `M` that of the fullest image; `crowd` bool `(B, M)` where the data has crowds;
    `index`. Evaluation adds `size` int64 `(B, 2)`, width and height of the upright original, and `place` float32 `(B, 4)`,
    where the original lies in `input`: left, top, width, height. With `instances`, `mask` bool `(B, M, H, W)` has each box's.
    """

    same_shapes = False  # as many boxes as the fullest image of a batch has

    def __init__(
        self,
        seed: int,
        images: Mapping[str, Images],
        boxes: Mapping[str, Boxes],
        sizes: Mapping[str, Tensor],
        class_names: Sequence[str],
        decoding: Decoding,
        size: Sequence[int],
        *,
        instances: Mapping[str, Instances] | None = None,
        processor: ImageReader | None = None,
        augment: Sequence[Any] | None = None,
        batching: Batching,
    ) -> None:
        self.with_crowds = any(bool(found.crowd.any()) for found in boxes.values())
        data = {
            split: {
                "input": images[split], "box": found.box, "box_label": found.label, "crowd": found.crowd, "size": sizes[split],
                "place": places(decoding, size, sizes[split].tolist()),
                **({"mask": instances[split]} if instances else {}),
            } for split, found in boxes.items()
        }  # fmt: skip
        if processor is None:
            processor = BoxProcessor(decoding, size, *statistics(images["train"]), class_names)
        facts = image_facts(decoding, size, processor.mean, processor.std, class_names)
        if "train" in boxes:
            labels = boxes["train"].label
            facts["class_counts"] = torch.bincount(labels[labels >= 0], minlength=len(class_names)).tolist()
        super().__init__(seed, data, facts, processor, Pipeline(augment or [], facts, carries=True), batching=batching)
        self.reader, self.read_size = processor, tuple(size)

    def changed(self, stored: Batch, draw: Generator) -> Batch:
        """Augment images, and move what lies on them along."""
        images, carried = self.augment.move(stored["input"].to(self.device), self._carried(stored), draw)
        return {**self._settled(images, carried), "index": stored["index"]}

    def whole(self, stored: Batch) -> Batch:
        """Read the middle of images, and what is in it."""
        settled = self._settled(stored["input"].to(self.device), self._carried(stored))
        return {**settled, "size": stored["size"].clone(), "place": stored["place"].clone()}

    def _carried(self, stored: Batch) -> dict[str, Carried]:
        boxes = Boxes(stored["box"], stored["box_label"], stored["crowd"])
        boxes = boxes.trimmed(boxes.order())
        masks: dict[str, Carried] = {"mask": InstanceMasks(stored["mask"].to(self.device))} if "mask" in stored else {}
        return {"box": boxes, **masks}

    def _settled(self, images: Tensor, carried: Mapping[str, Carried]) -> Batch:
        """Cut the middle out, standardise it, and keep what is there."""
        if tuple(images.shape[2:]) != self.read_size:
            movement = to_middle(images, self.read_size)
            carried = {word: thing.move(movement, self.read_size) for word, thing in carried.items()}
        boxes, masks = carried["box"], carried.get("mask")
        assert isinstance(boxes, Boxes)
        order = boxes.order()
        boxes = boxes.trimmed(order)
        batch = {"input": self.reader.standardize(images), "box": boxes.box, "box_label": boxes.label}
        if self.with_crowds:
            batch["crowd"] = boxes.crowd
        return batch | ({"mask": masks.trimmed(order).values} if isinstance(masks, InstanceMasks) else {})


def to_middle(images: Tensor, size: Sequence[int]) -> Tensor:
    """Give the movement from images to the middle of them `(n, 2, 3)`."""
    left, top = (images.shape[3] - size[1]) // 2, (images.shape[2] - size[0]) // 2
    return straight(1.0, float(left), 1.0, float(top), len(images))


def padded(boxes: Sequence[Any], labels: Sequence[Any], crowds: Sequence[Any] | None = None) -> Boxes:
    """Lay the boxes of images, each `(m, 4)` with labels `(m,)`, side by side, padded with -1."""
    most = max((len(some) for some in labels), default=0)
    box, label = torch.full((len(labels), most, 4), -1.0), torch.full((len(labels), most), -1, dtype=torch.int64)
    crowd = torch.zeros(len(labels), most, dtype=torch.bool)
    for row, (some, kinds) in enumerate(zip(boxes, labels, strict=True)):
        box[row, : len(kinds)] = torch.as_tensor(some, dtype=torch.float32).view(-1, 4)
        label[row, : len(kinds)] = torch.as_tensor(kinds, dtype=torch.int64)
        if crowds is not None:
            crowd[row, : len(kinds)] = torch.as_tensor(crowds[row], dtype=torch.bool)
    return Boxes(box, label, crowd)
