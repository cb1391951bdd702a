"""Images that lie in a file, or are decoded anew each time: read by number, a batch at a time."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterator

import numpy as np
import torch
from torch import Tensor

from dlx.data.image.on_demand import OnDemand
from dlx.errors import DlxError

SMALL = 256 * 2**20  # bytes of a split up to which its pixels are held in memory


class StoredImages:
    """Rows of a file of uint8 images `(N, C, H, W)`, as one split has them; indexed as a tensor is.

    They are read rather than mapped: reading is as fast (32 images of 224x224: 0.24 ms either way), leaves no pages behind
    that count as the process's memory, and a file cut short is an error instead of a SIGBUS.
    """

    def __init__(self, file: str, shape: tuple[int, ...], rows: np.ndarray) -> None:
        self.file, self.shape, self.rows = file, (len(rows), *shape[1:]), rows
        self.size = int(np.prod(shape[1:]))
        self.descriptor = -1  # until the file is open
        self.descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)

    def __len__(self) -> int:
        return len(self.rows)

    def __del__(self) -> None:
        if self.descriptor >= 0:
            os.close(self.descriptor)

    @property
    def nbytes(self) -> int:
        """Tell the size of all images, were they in memory."""
        return len(self.rows) * self.size

    def index_select(self, axis: int, index: Tensor) -> Tensor:
        """Read images by their numbers in the split."""
        return self._read(self.rows[index.numpy()])

    def __getitem__(self, part: slice) -> Tensor:
        return self._read(self.rows[part])

    def _read(self, rows: np.ndarray) -> Tensor:
        images = np.empty((len(rows), self.size), np.uint8)
        for image, row in zip(images, rows.tolist(), strict=True):
            if os.preadv(self.descriptor, [image], row * self.size) != self.size:  # type: ignore[list-item]
                raise DlxError(f"{self.file}: is cut short at image {row}; delete its folder, and it is made again")
        return torch.from_numpy(images).view(-1, *self.shape[1:])


class DecodedImages:
    """Images decoded to uint8 `(n, C, H, W)` whenever they are asked for; indexed as a tensor is."""

    def __init__(self, decode: OnDemand, shape: tuple[int, ...], rows: np.ndarray) -> None:
        self.decode, self.rows, self.shape = decode, rows, (len(rows), *shape)
        self.nbytes = sys.maxsize  # never small enough for a copy of all

    def __len__(self) -> int:
        return len(self.rows)

    def close(self) -> None:
        """End what decodes them; whoever waits for images is told."""
        self.decode.close()

    def index_select(self, axis: int, index: Tensor) -> Tensor:
        """Decode images by their numbers in the split."""
        return self._read(self.rows[index.numpy()])

    def __getitem__(self, part: slice) -> Tensor:
        return self._read(self.rows[part])

    def _read(self, rows: np.ndarray) -> Tensor:
        return torch.from_numpy(self.decode(rows.tolist()))


Images = Tensor | StoredImages | DecodedImages


def held(images: StoredImages) -> Images:
    """Load a small split into memory; a large one stays in its file."""
    return images[:] if images.nbytes <= SMALL else images


def pieces(images: Images, index: Tensor, size: int = 64) -> Iterator[Tensor]:
    """Read the images of an index some at a time."""
    for start in range(0, len(index), size):
        yield images.index_select(0, index[start : start + size])
