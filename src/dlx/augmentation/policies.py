"""Augmentations that choose operations by themselves, from torchvision's lists of operations and ranges."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated

import torch
from pydantic import Field, PositiveInt
from torch import Generator, Tensor

from dlx.augmentation import pixels
from dlx.augmentation.carrying import from_centre, identity
from dlx.augmentation.cropping import Moved
from dlx.augmentation.drawing import whole
from dlx.registry import augmentations

BINS = 30  # strengths are n / 30
GEOMETRY = ("shear_x", "shear_y", "translate_x", "translate_y", "rotate")
COLOR: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "brightness": pixels.brightness, "color": pixels.saturation, "contrast": pixels.contrast, "sharpness": pixels.sharpness,
}  # fmt: skip
OPERATIONS = ("identity", *GEOMETRY, *COLOR, "posterize", "solarize", "autocontrast", "equalize")


@augmentations("rand_augment")
class RandAugment:
    """Do `num_ops` random operations of one strength to each image (Cubuk et al. 2020)."""

    def __init__(self, *, num_ops: PositiveInt = 2, magnitude: Annotated[int, Field(ge=0, le=BINS)] = 9) -> None:
        self.num_ops, self.magnitude = num_ops, magnitude

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        return self.moved(images, generator)[0]

    def moved(self, images: Tensor, generator: Generator) -> Moved:
        """Change images, and tell where pixels came from, step by step."""
        height, width = images.shape[2:]
        most = {"shear": 0.3, "translate_x": 150 / 331 * width, "translate_y": 150 / 331 * height, "rotate": 30.0}
        most |= {"color": 0.9, "bits": 4}
        steps = []
        for _ in range(self.num_ops):
            strength = torch.full((len(images),), self.magnitude / BINS)
            images, matrices = apply(images, strength, most, generator)
            steps.append(matrices)
        return images, steps


@augmentations("trivial_augment")
class TrivialAugment:
    """Do one random operation of a random strength to each image (Mueller, Hutter 2021, the wide ranges)."""

    def __call__(self, images: Tensor, generator: Generator) -> Tensor:
        return self.moved(images, generator)[0]

    def moved(self, images: Tensor, generator: Generator) -> Moved:
        """Change images, and tell where pixels came from."""
        most = {"shear": 0.99, "translate_x": 32.0, "translate_y": 32.0, "rotate": 135.0, "color": 0.99, "bits": 6}
        strength = whole(len(images), BINS, generator) / BINS
        images, matrices = apply(images, strength, most, generator)
        return images, [matrices]


def apply(images: Tensor, strength: Tensor, most: dict[str, float], generator: Generator) -> tuple[Tensor, Tensor]:
    """Do one operation to each image, all of a kind at once; `strength` `(n,)` is a part of what is `most`.

    Gives the images, and the matrices `(n, 2, 3)` of where their pixels came from.
    """
    kind = whole(len(images), len(OPERATIONS) - 1, generator)
    signed = strength * (2 * whole(len(images), 1, generator) - 1)
    result, moves = images.clone(), identity(len(images))
    for number, index in _groups(kind):
        some, name = images[index], OPERATIONS[number]
        if name in GEOMETRY:
            matrices = _matrices(kind[index], signed[index], most, *images.shape[2:])
            result[index], moves[index] = pixels.affine(some, matrices), from_centre(matrices, *images.shape[2:])
        elif name in COLOR:
            result[index] = COLOR[name](some, 1 + signed[index] * most["color"])
        elif name == "posterize":
            result[index] = pixels.posterize(some, 8 - (strength[index] * most["bits"]).round())
        elif name == "solarize":
            result[index] = pixels.solarize(some, 255 * (1 - strength[index]))
        elif name == "autocontrast":
            result[index] = pixels.autocontrast(some)
        elif name == "equalize":
            result[index] = pixels.equalize(some)
    return result, moves


def _groups(kind: Tensor) -> list[tuple[int, Tensor]]:
    """List the samples of every kind of operation; those that move pixels go together, as one grid."""
    first = OPERATIONS.index(GEOMETRY[0])
    together = torch.where((kind >= first) & (kind < first + len(GEOMETRY)), first, kind)
    return [(number, (together == number).nonzero()[:, 0]) for number in together.unique().tolist()]


def _matrices(kind: Tensor, signed: Tensor, most: dict[str, float], height: int, width: int) -> Tensor:
    """Make the matrices `(n, 2, 3)` of each sample's own operation; a shear leaves the upper left corner."""
    part = {name: torch.where(kind == OPERATIONS.index(name), signed, 0.0) for name in GEOMETRY}
    matrices = pixels.rotation(part["rotate"] * most["rotate"])
    along_x, along_y = part["shear_x"] * most["shear"], part["shear_y"] * most["shear"]
    matrices[:, 0, 1] += along_x
    matrices[:, 1, 0] += along_y
    matrices[:, 0, 2] = along_x * height / 2 + (part["translate_x"] * most["translate_x"]).trunc()
    matrices[:, 1, 2] = along_y * width / 2 + (part["translate_y"] * most["translate_y"]).trunc()
    return matrices
