"""A data set of images with a class a pixel."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from dlx.augmentation.carrying import Masks
from dlx.augmentation.pipeline import Pipeline
from dlx.core import Batch
from dlx.data.image.pixel_source import SAMPLED, PixelSource, statistics
from dlx.data.image.pixels import Images, pieces
from dlx.data.image.source import image_facts
from dlx.data.options import Batching
from dlx.data.order import permutation
from dlx.processors.image.decoding import Decoding
from dlx.processors.image.mask_decoding import VOID
from dlx.processors.image.masks import MaskProcessor
from dlx.processors.image.reader import ImageReader, middle


class MaskSource(PixelSource):
    """Splits of images with masks of the same size, uint8 `(N, 1, h, w)`: class numbers, 255 where nothing counts.

    A batch has `input` float32 `(B, C, H, W)`; `target` int64 `(B, H, W)`, -1 where nothing counts, which is also what an
    augmentation uncovers; `index`.
    """

    def __init__(
        self,
        seed: int,
        images: Mapping[str, Images],
        masks: Mapping[str, Images],
        class_names: Sequence[str],
        decoding: Decoding,
        size: Sequence[int],
        *,
        processor: ImageReader | None = None,
        augment: Sequence[Any] | None = None,
        batching: Batching,
    ) -> None:
        data = {split: {"input": images[split], "mask": masks[split]} for split in images}
        if processor is None:
            processor = MaskProcessor(decoding, size, *statistics(images["train"]), class_names)
        facts = image_facts(decoding, size, processor.mean, processor.std, class_names)
        if "train" in masks:
            facts["class_counts"] = pixels_of(masks["train"], len(class_names))
        super().__init__(seed, data, facts, processor, Pipeline(augment or [], facts, carries=True), batching=batching)
        self.reader, self.read_size = processor, tuple(size)

    def changed(self, stored: Batch, draw: Generator) -> Batch:
        """Augment images, and move their masks along."""
        masks = Masks(stored["mask"].to(self.device), VOID)
        images, carried = self.augment.move(stored["input"].to(self.device), {"mask": masks}, draw)
        moved = carried["mask"]
        assert isinstance(moved, Masks)
        return {**self._settled(images, moved.values), "index": stored["index"]}

    def whole(self, stored: Batch) -> Batch:
        """Read the middle of images and masks."""
        return self._settled(stored["input"].to(self.device), stored["mask"].to(self.device))

    def _settled(self, images: Tensor, masks: Tensor) -> Batch:
        target = middle(masks, self.read_size)[:, 0].long()
        return {"input": self.reader.standardize(images), "target": target.masked_fill_(target == VOID, -1)}


def pixels_of(masks: Images, classes: int) -> list[int]:
    """Count the pixels of each class, of as many images as mean and deviation are taken from."""
    counts = torch.zeros(256, dtype=torch.int64)
    for piece in pieces(masks, permutation(0, 0, len(masks))[:SAMPLED].sort().values):
        counts += torch.bincount(piece.flatten(), minlength=256)
    return counts[:classes].tolist()
