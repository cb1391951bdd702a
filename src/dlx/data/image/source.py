"""A data set of images, each of a class: augmented as whole batches, standardised as the model reads them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Generator, Tensor

from dlx.augmentation.pipeline import Pipeline
from dlx.core import Batch
from dlx.data.image.pixel_source import PixelSource, statistics
from dlx.data.image.pixels import Images
from dlx.data.options import Batching
from dlx.processors.image.decoding import Decoding
from dlx.processors.image.processor import ImageProcessor
from dlx.processors.image.reader import ImageReader


class ImageSource(PixelSource):
    """Splits of images with targets `(N,)`.

    A batch has `input` float32 `(B, C, H, W)`, standardised; `target` int64 `(B,)`, or float32 `(B, num_classes)` under
    mixup and cutmix; `index`.
    """

    def __init__(
        self,
        seed: int,
        images: Mapping[str, Images],
        targets: Mapping[str, Tensor],
        class_names: Sequence[str],
        decoding: Decoding,
        size: Sequence[int],
        *,
        processor: ImageReader | None = None,
        augment: Sequence[Any] | None = None,
        batching: Batching,
    ) -> None:
        data = {split: {"input": images[split], "target": targets[split]} for split in images}
        if processor is None:
            processor = ImageProcessor(decoding, size, *statistics(images["train"]), class_names)
        facts = image_facts(decoding, size, processor.mean, processor.std, class_names)
        if "train" in targets:
            facts["class_counts"] = torch.bincount(targets["train"], minlength=len(class_names)).tolist()
        super().__init__(seed, data, facts, processor, Pipeline(augment or [], facts), batching=batching)
        self.standardize = processor.standardize

    def changed(self, stored: Batch, draw: Generator) -> Batch:
        """Augment images, and mix them with their classes."""
        images = self.standardize(self.augment.change(stored["input"].to(self.device), draw))
        images, target = self.augment.mix(images, stored["target"], draw)
        return {**stored, "input": images, "target": target}

    def whole(self, stored: Batch) -> Batch:
        """Read the middle of images."""
        return {"input": self.standardize(stored["input"].to(self.device)), "target": stored["target"].clone()}


def image_facts(
    decoding: Decoding, size: Sequence[int], mean: Sequence[float], std: Sequence[float], class_names: Sequence[str]
) -> dict[str, Any]:
    """Give the facts that all data sets of images have."""
    return {
        "input_shape": [decoding.channels, *size], "in_channels": decoding.channels, "num_classes": len(class_names),
        "class_names": list(class_names), "channel_mean": mean, "channel_std": std,
    }  # fmt: skip
