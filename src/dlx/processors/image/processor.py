"""The processor of images, each of a class: predictions to class names."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from dlx.core import Batch
from dlx.processors.image.decoding import Decoding
from dlx.processors.image.reader import ImageReader
from dlx.processors.targets import ClassTarget
from dlx.registry import processors


@processors("image")
class ImageProcessor(ImageReader):
    """Image files of any size and mode, each of one class."""

    name = "image"

    def __init__(
        self, decoding: Decoding, size: Sequence[int], mean: Sequence[float], std: Sequence[float], class_names: Sequence[str]
    ) -> None:
        super().__init__(decoding, size, mean, std, class_names)
        self.target = ClassTarget("class", class_names)

    def decode(self, prediction: Batch) -> list[dict[str, Any]]:
        """Answer {"file": name, "label": class, "probability": {class: p}}; the files are those of the last `encode`."""
        answers = self.target.decode(prediction)
        if len(answers) != len(self.encoded):
            return answers
        return [{"file": file.name} | answer for file, answer in zip(self.encoded, answers, strict=True)]
