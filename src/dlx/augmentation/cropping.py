"""Where an image is cut out, and which way round it lies."""

from __future__ import annotations

import math
from typing import Annotated, Literal

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeInt
from torch import Generator, Tensor

from dlx.augmentation.carrying import from_centre, identity, straight
from dlx.augmentation.drawing import Positive, Probability, picked, uniform, whole
from dlx.augmentation.pixels import affine, rotation, to_bytes
from dlx.errors import ComponentError
from dlx.registry import augmentations

Moved = tuple[Tensor, list[Tensor]]  # images, and the matrices (n, 2, 3) of one step after the other (carrying.py)
Share = Annotated[float, Field(gt=0, le=1)]
PIECE = 2**20  # bytes changed at a time, so that what lies between stays in the cache
TRIES = 10  # boxes drawn before the largest one that fits is taken, as torchvision does


@augmentations("random_crop")
class RandomCrop:
    """Cut the input's size out at a random place, after a border is added by reflection or of zeros."""

    def __init__(self, input_shape: list[int], *, padding: NonNegativeInt = 4, mode: Literal["reflect", "zeros"] = "reflect"):
        self.size, self.padding, self.mode = input_shape[1:], padding, mode
        if mode == "reflect" and padding >= min(self.size):
            raise ComponentError(
                f"a border of {padding} pixels cannot be reflected from {self.size[0]}x{self.size[1]}", ("padding",)
            )

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        return self.moved(images, generator)[0]

    def moved(self, images: Tensor, generator: Generator) -> Moved:
        """Change images, and tell where pixels came from; a border that is reflected counts as outside."""
        height, width = self.size
        top = whole(len(images), images.shape[2] + 2 * self.padding - height, generator)
        left = whole(len(images), images.shape[3] + 2 * self.padding - width, generator)
        matrices = straight(1.0, left - self.padding, 1.0, top - self.padding, len(images))
        if images.device.type != "cpu":
            return self.gather(images, top, left), [matrices]
        padded = border(images.numpy(), self.padding, self.mode)
        # All windows as a view, then one of each sample copied: 128 CIFAR images in 70 microseconds.
        windows = np.lib.stride_tricks.sliding_window_view(padded, (height, width), axis=(2, 3))
        return torch.from_numpy(windows[np.arange(len(images)), :, top.numpy(), left.numpy()]), [matrices]

    def gather(self, images: Tensor, top: Tensor, left: Tensor) -> Tensor:
        """Cut the same windows by indexing: what an accelerator does at once, and a processor slowly."""
        rows, is_row = self._places(top, self.size[0], images.shape[2])
        columns, is_column = self._places(left, self.size[1], images.shape[3])
        samples, channels = torch.arange(len(images)).view(-1, 1, 1, 1), torch.arange(images.shape[1]).view(1, -1, 1, 1)
        places = (samples, channels, rows[:, None, :, None], columns[:, None, None, :])
        cut = images[tuple(place.to(images.device) for place in places)]
        if self.mode == "reflect":
            return cut
        return cut * (is_row[:, None, :, None] & is_column[:, None, None, :]).to(images.device)

    def _places(self, first: Tensor, size: int, length: int) -> tuple[Tensor, Tensor]:
        """Tell where the lines of windows `(n, size)` lie in images of a length, and which of them do and are no border."""
        place = first[:, None] + torch.arange(size) - self.padding
        last = length - 1
        return last - (last - place.abs()).abs(), (place >= 0) & (place <= last)


def border(images: np.ndarray, size: int, mode: str) -> np.ndarray:
    """Add a border to images `(n, C, H, W)`."""
    if size == 0:
        return images
    count, channels, height, width = images.shape
    padded = np.zeros((count, channels, height + 2 * size, width + 2 * size), images.dtype)
    padded[:, :, size:-size, size:-size] = images
    if mode == "reflect":
        padded[:, :, :size] = padded[:, :, 2 * size : size : -1]
        padded[:, :, -size:] = padded[:, :, -size - 2 : -2 * size - 2 : -1]
        padded[..., :size] = padded[..., 2 * size : size : -1]
        padded[..., -size:] = padded[..., -size - 2 : -2 * size - 2 : -1]
    return padded


@augmentations("random_resized_crop")
class RandomResizedCrop:
    """Cut a random part of the area at a random aspect out, and resize it to the input's size (Szegedy et al. 2015)."""

    def __init__(
        self,
        input_shape: list[int],
        *,
        scale: tuple[Share, Share] = (0.08, 1.0),
        ratio: tuple[Positive, Positive] = (3 / 4, 4 / 3),
    ) -> None:
        self.size, self.scale, self.ratio = input_shape[1:], ascending(scale, "scale"), ascending(ratio, "ratio")

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        return self.moved(images, generator)[0]

    def moved(self, images: Tensor, generator: Generator) -> Moved:
        """Change images, and tell where pixels came from."""
        boxes = self.boxes(len(images), images.shape[2], images.shape[3], generator)
        top, left, high, wide = torch.tensor(boxes, dtype=torch.float32).view(-1, 4).unbind(1)
        matrices = straight(wide / self.size[1], left, high / self.size[0], top, len(images))
        return self._cut(images, boxes), [matrices]

    def _cut(self, images: Tensor, boxes: list[list[int]]) -> Tensor:
        cut = [image[:, y : y + h, x : x + w] for image, (y, x, h, w) in zip(images, boxes, strict=True)]
        if images.device.type == "cpu":
            return torch.cat([self._resize(part[None]) for part in cut])
        return to_bytes(torch.cat([self._resize(part[None].float()) for part in cut]))  # of bytes, only the CPU has a kernel

    def _resize(self, images: Tensor) -> Tensor:
        return F.interpolate(images, self.size, mode="bilinear", antialias=True)

    def boxes(self, count: int, height: int, width: int, generator: Generator) -> list[list[int]]:
        """Draw a box [top, left, height, width] for each sample; one that never fits becomes the largest in the middle."""
        area = uniform(count * TRIES, *self.scale, generator) * height * width
        ratio = torch.exp(uniform(count * TRIES, math.log(self.ratio[0]), math.log(self.ratio[1]), generator))
        wide, high = torch.sqrt(area * ratio).round().long(), torch.sqrt(area / ratio).round().long()
        fits = ((wide > 0) & (wide <= width) & (high > 0) & (high <= height)).view(count, TRIES)
        first = fits.int().argmax(1, keepdim=True)
        largest = min(max(width / height, self.ratio[0]), self.ratio[1])
        wide = torch.where(fits.any(1), wide.view(count, TRIES).gather(1, first)[:, 0], min(width, round(height * largest)))
        high = torch.where(fits.any(1), high.view(count, TRIES).gather(1, first)[:, 0], min(height, round(width / largest)))
        place = torch.rand(2, count, generator=generator)
        place = torch.where(fits.any(1), place, 0.5)
        top, left = (place[0] * (height - high + 1)).long(), (place[1] * (width - wide + 1)).long()
        return torch.stack([top, left, high, wide], 1).tolist()


def ascending(bounds: tuple[float, float], name: str) -> tuple[float, float]:
    """Raise ComponentError unless the lower bound comes first."""
    if bounds[0] > bounds[1]:
        raise ComponentError(f"wants the lower bound first, not [{bounds[0]}, {bounds[1]}]", (name,))
    return bounds


@augmentations("horizontal_flip")
class HorizontalFlip:
    """Mirror left and right."""

    def __init__(self, *, probability: Probability = 0.5) -> None:
        self.probability = probability

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        return self.moved(images, generator)[0]

    def moved(self, images: Tensor, generator: Generator) -> Moved:
        """Change images, and tell where pixels came from."""
        index = picked(len(images), self.probability, generator)
        return _flipped(images, index.to(images.device), -1), [
            _some(images, index, straight(-1.0, float(images.shape[3]), 1.0, 0.0, len(index)))
        ]


@augmentations("vertical_flip")
class VerticalFlip:
    """Mirror top and bottom."""

    def __init__(self, *, probability: Probability = 0.5) -> None:
        self.probability = probability

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        return self.moved(images, generator)[0]

    def moved(self, images: Tensor, generator: Generator) -> Moved:
        """Change images, and tell where pixels came from."""
        index = picked(len(images), self.probability, generator)
        return _flipped(images, index.to(images.device), -2), [
            _some(images, index, straight(1.0, 0.0, -1.0, float(images.shape[2]), len(index)))
        ]


def _some(images: Tensor, index: Tensor, matrices: Tensor) -> Tensor:
    """Give matrices of all images, of which only some are moved."""
    return identity(len(images)).index_copy(0, index, matrices)


def _flipped(images: Tensor, index: Tensor, axis: int) -> Tensor:
    if images.device.type != "cpu":
        return images.index_copy(0, index, images[index].flip(axis))
    flipped = torch.from_numpy(images.numpy().copy())  # numpy's large arrays lie in huge pages: 5 times fewer page faults
    for some in index.split(max(1, PIECE // max(1, images[0].numel()))):
        flipped[some] = images[some].flip(axis)
    return flipped


@augmentations("rotate")
class Rotate:
    """Turn about the centre by an angle of at most `degrees` either way; the corners become black."""

    def __init__(self, *, degrees: Annotated[float, Field(gt=0, le=180)], probability: Probability = 1.0) -> None:
        self.degrees, self.probability = degrees, probability

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        return self.moved(images, generator)[0]

    def moved(self, images: Tensor, generator: Generator) -> Moved:
        """Change images, and tell where pixels came from."""
        index = picked(len(images), self.probability, generator)
        rotated, matrices = images.clone(), identity(len(images))
        if len(index):
            turns = rotation(uniform(len(index), -self.degrees, self.degrees, generator))
            there = index.to(images.device)
            rotated[there] = affine(images[there], turns)
            matrices = _some(images, index, from_centre(turns, *images.shape[2:]))
        return rotated, [matrices]
