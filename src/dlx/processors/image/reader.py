"""What all processors of images share: files to standardised `input`."""

from __future__ import annotations

import logging
import os
import stat
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import IO, Any, NamedTuple, Self

import numpy as np
import torch
from torch import Tensor

from dlx.core import Batch, Processor
from dlx.errors import UsageError
from dlx.processors.image import state as image_state
from dlx.processors.image.decoding import ENDINGS, FILE_BYTES, BadImageError, Decoding, unreadable
from dlx.storage import files

SHOWN = 10  # classes that a description names
log = logging.getLogger("dlx")


class ImageFile(NamedTuple):
    """A file given to `dlx predict`; `content` is there where it came from standard input or a pipe."""

    name: str
    content: bytes | None = None


class ImageReader(Processor):
    """Base of the processors of image files of any size and mode.

    A file is decoded to the size that training stored, the middle is cut out in the size `(height, width)` of `input`, and
    each channel is standardised by `mean` and `std`, in parts of the whole range 0..1. A file that cannot be used refuses
    its batch; where `skip_bad` is set it is left out, told, and noted in `skipped`.
    """

    can_skip = True

    def __init__(
        self, decoding: Decoding, size: Sequence[int], mean: Sequence[float], std: Sequence[float], class_names: Sequence[str]
    ) -> None:
        self.decoding, self.size = decoding, tuple(size)
        self.mean, self.std = list(mean), list(std)
        self.offset = torch.tensor([255 * m for m in mean]).view(-1, 1, 1)
        self.scale = torch.tensor([1 / (255 * s) for s in std]).view(-1, 1, 1)
        self.class_names = list(class_names)
        self.encoded: list[ImageFile] = []  # the files of the last batch, which its answers name
        self.sizes: list[tuple[int, int]] = []  # width and height of their upright images
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
        """Find image files: files, folders with all below them, or `-` for one image from standard input.

        A pipe that is named itself is read, since someone writes into it; one that lies in a folder is not.
        """
        wanted = list(inputs)
        if missing := [given for given in wanted if given != "-" and not os.path.exists(given)]:
            raise UsageError("\n".join(f"{given}: no file or folder" for given in missing))
        for given in wanted:
            if given == "-":
                yield _piped("standard input", sys.stdin.buffer)
            elif os.path.isdir(given):
                yield from _below(given)
            elif stat.S_ISFIFO(os.stat(given).st_mode):
                with open(given, "rb") as pipe:
                    yield _piped(given, pipe)
            else:
                yield ImageFile(given)

    def encode(self, examples: list[ImageFile]) -> Batch:
        """Decode files as training did; UsageError names those that cannot be, unless they are to be skipped.

        A batch of which every file is skipped has an `input` of no sample.
        """
        images, encoded, sizes, faults = [np.empty((0, *self.decoding.shape), np.uint8)], [], [], []
        for example in examples:
            try:
                pixels, size = self.decoding.measured(content_of(example), example.name)
                images.append(pixels[None])
                encoded.append(example)
                sizes.append(size)
            except BadImageError as error:
                faults.append(f"{example.name}: {error}")
        if faults and not self.skip_bad:
            raise UsageError("\n".join(faults))
        for fault in faults:
            log.warning("skipped %s", fault)
        self.encoded, self.sizes, self.skipped = encoded, sizes, self.skipped + faults
        return {"input": self.standardize(torch.from_numpy(np.concatenate(images)))}

    def describe(self) -> list[str]:
        """Say in lines what an image becomes, and what the classes are."""
        decoding, names = self.decoding, self.class_names
        stored = f"{decoding.width}x{decoding.height}, {'colour' if decoding.channels == 3 else 'grey'}, {decoding.resize}"
        shown = ", ".join(names[:SHOWN]) + (f" and {len(names) - SHOWN:,} more" if len(names) > SHOWN else "")
        return [f"images of {self.size[1]}x{self.size[0]} pixels, stored as {stored}", f"{len(names):,} classes: {shown}"]

    def state_dict(self) -> dict[str, Any]:
        """Tell sizes, statistics and class names."""
        statistics = {"mean": self.mean, "std": self.std}
        return {
            "decoding": self.decoding.state_dict(), "size": list(self.size), **statistics, "class_names": self.class_names
        }  # fmt: skip

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Self:
        """Make the processor again; UsageError where the state is none of an image processor."""
        return cls(**image_state.checked(state))


def middle(images: Tensor, size: Sequence[int]) -> Tensor:
    """Cut the middle out of images `(B, C, h, w)`; a view."""
    top, left = (images.shape[2] - size[0]) // 2, (images.shape[3] - size[1]) // 2
    return images[:, :, top : top + size[0], left : left + size[1]]


def content_of(example: ImageFile) -> bytes:
    """Read the bytes of an image file. Raises BadImageError."""
    if example.content is not None:
        if len(example.content) > FILE_BYTES:
            raise unreadable(files.too_large(example.name, FILE_BYTES))
        return example.content
    try:
        return files.read(example.name, FILE_BYTES)
    except OSError as error:
        raise unreadable(error) from None


def _piped(name: str, pipe: IO[bytes]) -> ImageFile:
    return ImageFile(name, pipe.read(FILE_BYTES + 1))


def _below(folder: str) -> Iterator[ImageFile]:
    found = False
    for place, folders, names in os.walk(folder, onerror=_refuse):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for link in (name for name in folders if os.path.islink(os.path.join(place, name))):
            log.warning("%s: is a link to a folder and was not followed", os.path.join(place, link))
        for name in sorted(names):
            if os.path.splitext(name)[1].lower() in ENDINGS and not name.startswith("."):
                found = True
                yield ImageFile(os.path.join(place, name))
    if not found:
        raise UsageError(f"{folder}: holds no image ({', '.join(ENDINGS)})")


def _refuse(error: OSError) -> None:
    raise UsageError(f"{error.filename}: cannot be read: {error.strerror}")
