"""The list of augmentations that a config gives, as one function of a batch and its generator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Protocol, runtime_checkable

import torch.nn.functional as F
from torch import Generator, Tensor

from dlx.augmentation.carrying import Carried, Piece
from dlx.errors import ComponentError
from dlx.registry import augmentations
from dlx.registry.shorthand import ListOf, Notation

# What other tools call them, in lower case without underscores.
FOREIGN = {
    "randomhorizontalflip": "horizontal_flip", "hflip": "horizontal_flip", "flip": "horizontal_flip",
    "randomverticalflip": "vertical_flip", "vflip": "vertical_flip", "randomrotation": "rotate", "randomrotate": "rotate",
    "randaug": "rand_augment", "trivialaugmentwide": "trivial_augment", "erase": "random_erasing",
    "randomgrayscale": "grayscale", "colorjitter": "color_jitter", "colourjitter": "color_jitter", "jitter": "color_jitter",
    "rrc": "random_resized_crop", "crop": "random_crop", "blur": "gaussian_blur",
}  # fmt: skip

AUGMENTATIONS = Notation(augmentations, FOREIGN)
AugmentationList = Annotated[list, ListOf(AUGMENTATIONS)]


@runtime_checkable
class Mixing(Protocol):
    """An augmentation that mixes the samples of a batch, and their classes."""

    def mix(self, images: Tensor, target: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Mix standardised images `(B, C, H, W)` and shares of the classes `(B, num_classes)`."""


@runtime_checkable
class Moving(Protocol):
    """An augmentation that moves pixels to other places."""

    def moved(self, images: Tensor, generator: Generator) -> tuple[Tensor, list[Tensor]]:
        """Change images as `__call__` does, and tell where pixels came from: matrices `(n, 2, 3)` of each step."""


@runtime_checkable
class Joining(Protocol):
    """An augmentation that puts images together of parts of several."""

    def joined(self, images: Tensor, generator: Generator) -> tuple[Tensor, list[Piece]]:
        """Make images, and tell what each is made of."""


class Pipeline:
    """Augmentations in order: those that change pixels, then those that mix samples.

    `items` are as the config writes them; `facts` those of the data. `carries` says that masks or boxes lie on the images.
    Raises ComponentError with a path that starts at `augment`.
    """

    def __init__(self, items: Sequence[Any], facts: Mapping[str, Any], carries: bool = False) -> None:
        self.changes: list[Any] = []
        self.mixes: list[Any] = []
        self.num_classes = facts.get("num_classes", 0)
        for i, item in enumerate(items):
            built = _build(item, facts, ("augment", i))
            mixing = isinstance(built, Mixing)
            if mixing and carries:
                raise ComponentError("mixes classes, and not what lies on images; mosaic puts those together", ("augment", i))
            if isinstance(built, Joining) and not carries:
                raise ComponentError("puts boxes or masks together; images of one class are mixed by cutmix", ("augment", i))
            if self.mixes and not mixing:
                raise ComponentError("changes single images: it stands before mixup and cutmix", ("augment", i))
            (self.mixes if mixing else self.changes).append(built)

    def change(self, images: Tensor, generator: Generator) -> Tensor:
        """Change each image on its own, uint8 `(B, C, H, W)`, where it is; what is given stays as it is."""
        for change in self.changes:
            images = change(images, generator)
        return images

    def move(self, images: Tensor, carried: Mapping[str, Carried], generator: Generator) -> tuple[Tensor, dict[str, Carried]]:
        """Change each image on its own, and move what lies on them along, step by step."""
        things = dict(carried)
        for change in self.changes:
            if isinstance(change, Joining):
                images, pieces = change.joined(images, generator)
                things = {word: thing.join(pieces, images.shape[2:]) for word, thing in things.items()}
            elif isinstance(change, Moving):
                images, steps = change.moved(images, generator)
                for matrices in steps:
                    things = {word: thing.move(matrices, images.shape[2:]) for word, thing in things.items()}
            else:
                images = change(images, generator)
        return images, things

    def mix(self, images: Tensor, target: Tensor, generator: Generator) -> tuple[Tensor, Tensor]:
        """Mix standardised images and their classes `(B,)` on the CPU, which become shares `(B, num_classes)`."""
        if self.mixes:
            target = F.one_hot(target, self.num_classes).float()
        for mixing in self.mixes:
            images, target = mixing.mix(images, target, generator)
        return images, target


def _build(item: Any, facts: Mapping[str, Any], path: tuple) -> Any:
    written = AUGMENTATIONS.read(item)
    try:
        return augmentations.build(written.name, written.choices, facts)
    except ComponentError as error:
        raise ComponentError(error.message, written.place(path, error.path)) from None
