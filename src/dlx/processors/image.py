"""The processor of images: files to standardised `input`, predictions to class names."""

from __future__ import annotations

import logging
import os
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dlx.core import Batch, Processor
from dlx.errors import UsageError
from dlx.processors.image_decoding import ENDINGS, BadImage, Decoding, restore
from dlx.processors.targets import ClassTarget
from dlx.registry import processors

log = logging.getLogger("dlx")


class ImageFile(NamedTuple):
    """A file given to `dlx predict`; `content` is there where it came from standard input."""

    name: str
    content: bytes | None = None


@processors("image")
class ImageProcessor(Processor):
    """Image files of any size and mode.

    A file is decoded to the size that training stored, the middle is cut out in the size `(height, width)` of `input`, and
    each channel is standardised by `mean` and `std`, in parts of the whole range 0..1. A file that cannot be used refuses
    its batch; where `skip_bad` is set it is left out, told, and noted in `skipped`.
    """

    name = "image"

    def __init__(
        self, decoding: Decoding, size: Sequence[int], mean: Sequence[float], std: Sequence[float], class_names: Sequence[str]
    ) -> None:
        self.decoding, self.size = decoding, tuple(size)
        self.mean, self.std = list(mean), list(std)
        self.offset = torch.tensor([255 * m for m in mean]).view(-1, 1, 1)
        self.scale = torch.tensor([1 / (255 * s) for s in std]).view(-1, 1, 1)
        self.target = ClassTarget("class", class_names)
        self.encoded: list[str] = []  # the files of the last batch, which its answers name
        self.skip_bad = False
        self.skipped: list[str] = []  # files left out until now, each with the reason

    def standardize(self, images: Tensor) -> Tensor:
        """Turn uint8 `(B, C, h, w)`, stored or augmented, into `input`: float32 `(B, C, H, W)`, where the images are."""
        read = middle(images, self.size)
        if read.device.type != "cpu":
            return read.float().sub_(self.offset.to(read.device)).mul_(self.scale.to(read.device))
        # numpy's large arrays lie in huge pages: filling 64 images of 224x224 took 6 ms instead of 18.
        standardized = torch.from_numpy(np.empty(tuple(read.shape), np.float32))
        return standardized.copy_(read).sub_(self.offset).mul_(self.scale)

    def read(self, inputs: Iterable[str]) -> Iterator[ImageFile]:
        """Find image files: files, folders with all below them, or `-` for one image from standard input."""
        wanted = list(inputs)
        if missing := [given for given in wanted if given != "-" and not os.path.exists(given)]:
            raise UsageError("\n".join(f"{given}: no file or folder" for given in missing))
        for given in wanted:
            if given == "-":
                yield ImageFile("standard input", sys.stdin.buffer.read())
            elif os.path.isdir(given):
                yield from _below(given)
            else:
                yield ImageFile(given)

    def encode(self, examples: list[ImageFile]) -> Batch:
        """Decode files as training did; UsageError names those that cannot be, unless they are to be skipped.

        A batch of which every file is skipped has an `input` of no sample.
        """
        images, encoded, faults = [np.empty((0, *self.decoding.shape), np.uint8)], [], []
        for example in examples:
            try:
                content = Path(example.name).read_bytes() if example.content is None else example.content
                images.append(self.decoding(content, example.name)[None])
                encoded.append(example.name)
            except BadImage as error:
                faults.append(f"{example.name}: {error}")
            except OSError as error:
                faults.append(f"{example.name}: cannot be read: {error.strerror}")
        if faults and not self.skip_bad:
            raise UsageError("\n".join(faults))
        for fault in faults:
            log.warning("skipped %s", fault)
        self.encoded, self.skipped = encoded, self.skipped + faults
        return {"input": self.standardize(torch.from_numpy(np.concatenate(images)))}

    def decode(self, prediction: Batch) -> list[dict[str, Any]]:
        """Answer {"file": name, "label": class, "probability": {class: p}}; the files are those of the last `encode`."""
        answers = self.target.decode(prediction)
        if len(answers) != len(self.encoded):
            return answers
        return [{"file": file} | answer for file, answer in zip(self.encoded, answers, strict=True)]

    def state_dict(self) -> dict[str, Any]:
        """Tell sizes, statistics and class names."""
        statistics = {"mean": self.mean, "std": self.std}
        return {
            "decoding": self.decoding.state_dict(), "size": list(self.size), **statistics, "class_names": self.target.names
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ImageProcessor:
        """Make the processor again."""
        return cls(**(dict(state) | {"decoding": restore(state["decoding"])}))


def middle(images: Tensor, size: Sequence[int]) -> Tensor:
    """Cut the middle out of images `(B, C, h, w)`; a view."""
    top, left = (images.shape[2] - size[0]) // 2, (images.shape[3] - size[1]) // 2
    return images[:, :, top : top + size[0], left : left + size[1]]


def _below(folder: str) -> Iterator[ImageFile]:
    found = False
    for place, folders, files in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(files):
            if os.path.splitext(name)[1].lower() in ENDINGS and not name.startswith("."):
                found = True
                yield ImageFile(os.path.join(place, name))
    if not found:
        raise UsageError(f"{folder}: holds no image ({', '.join(ENDINGS)})")
