"""Scenes made of real handwritten digits: several of different sizes on a noisy background, among things that are none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal, NamedTuple

import numpy as np
import torch
from PIL import Image, ImageDraw
from pydantic import Field, NonNegativeInt, PositiveInt

from dlx.augmentation.pipeline import AugmentationList
from dlx.core import Source
from dlx.data import shipped
from dlx.data.image.annotated import VisionFacts
from dlx.data.image.box_source import BoxSource, padded
from dlx.data.image.instances import Drawn, Instances
from dlx.data.image.mask_source import MaskSource
from dlx.data.image.preparation import fitted
from dlx.data.image.splits import digest_of
from dlx.data.options import Batching
from dlx.data.splits import SplitSeed
from dlx.processors.image.boxes import BoxProcessor
from dlx.processors.image.decoding import Decoding
from dlx.processors.image.masks import MaskProcessor
from dlx.registry import sources
from dlx.registry.types import OptionGroup

WHITE = 16  # the largest grey level of scikit-learn's digits
INKED = 5.5  # the grey level of a scaled digit from which on a pixel is part of it
DIGITS = [str(digit) for digit in range(10)]
SHARE = {"train": (0.0, 0.6), "val": (0.6, 0.8), "test": (0.8, 1.0)}  # of the digits: none stands in scenes of two splits
TRIES = 30  # places tried for a digit before it is left out
Area = Annotated[int, Field(ge=48, le=512)]


@dataclass(frozen=True)
class Scenes(OptionGroup):
    """How many scenes each split has, and what they are drawn by."""

    train: PositiveInt = 1000
    val: NonNegativeInt = 200
    test: NonNegativeInt = 200
    split_seed: SplitSeed = 0


class Scene(NamedTuple):
    """A picture uint8 `(3, s, s)`, its mask uint8 `(1, s, s)` (0: background), boxes `(m, 4)` and the digits `(m,)`.

    `thing` `(s, s)` has the number of the digit that a pixel belongs to, counted from 1.
    """

    pixels: np.ndarray
    mask: np.ndarray
    box: np.ndarray
    label: np.ndarray
    thing: np.ndarray

    def shapes(self) -> list[Drawn]:
        """Give the shape of each digit."""
        return [Drawn(self.thing == number) for number in range(1, len(self.label) + 1)]


@sources("digit_scenes")
def digit_scenes(
    seed: int,
    kept: VisionFacts,
    *,
    targets: Literal["boxes", "masks", "instances"] = "boxes",
    image_size: Area = 96,
    scenes: Scenes,
    augment: AugmentationList | None = None,
    batching: Batching,
) -> Source:
    """Scenes of 2 to 6 handwritten digits with boxes, with masks of 11 classes, or with boxes and a mask each (instances).

    The digits are scikit-learn's, of real hands.

    Digits of 17 to 40 % of the side, in bright colours, lie apart from each other on a background of soft and fine noise,
    among lines, rings and discs that are no digits. All is drawn by `split_seed`: a split's scenes are the same however many
    there are, and no digit stands in scenes of two splits. Nothing is read or downloaded.
    """
    kept.refuse_other(targets)
    size = (image_size, image_size)
    decoding, kind = Decoding(*size), MaskProcessor if targets == "masks" else BoxProcessor
    processor = fitted(kept.processor, decoding, size, kind)
    wanted = {split: count for split, count in (("train", scenes.train), ("val", scenes.val), ("test", scenes.test)) if count}
    if kept.processor is not None and kept.wanted_splits is not None:
        wanted = {split: count for split, count in wanted.items() if split in kept.wanted_splits}
    made = {split: make(split, count, image_size, scenes.split_seed) for split, count in wanted.items()}
    images = {split: torch.from_numpy(np.stack([scene.pixels for scene in some])) for split, some in made.items()}
    source: Source
    if targets != "masks":
        boxes = {split: padded([s.box for s in some], [s.label for s in some]) for split, some in made.items()}
        sizes = {split: torch.full((len(some), 2), image_size) for split, some in made.items()}
        shapes = {split: [scene.shapes() for scene in some] for split, some in made.items() if targets == "instances"}
        source = BoxSource(
            seed, images, boxes, sizes, DIGITS, decoding, size, processor=processor, augment=augment, batching=batching,
            instances={split: Instances(some, decoding) for split, some in shapes.items()},
        )  # fmt: skip
    else:
        masks = {split: torch.from_numpy(np.stack([scene.mask for scene in some])) for split, some in made.items()}
        names = ["background", *DIGITS]
        source = MaskSource(seed, images, masks, names, decoding, size, processor=processor, augment=augment, batching=batching)
    source.digests = {split: digest_of(made[split]) for split in made}
    return source


def make(split: str, count: int, size: int, split_seed: int) -> list[Scene]:
    """Draw the scenes of a split."""
    known = shipped.read("digits")
    order = np.random.default_rng([split_seed, 0]).permutation(len(known.target))
    first, last = (int(share * len(order)) for share in SHARE[split])
    own, number = order[first:last], list(SHARE).index(split)
    made = (np.random.default_rng([split_seed, 1, number, scene]) for scene in range(count))
    return [draw_scene(draw, known.data.reshape(-1, 8, 8)[own], known.target[own], size) for draw in made]


def draw_scene(draw: np.random.Generator, digits: np.ndarray, labels: np.ndarray, size: int) -> Scene:
    """Draw one scene of some digits `(n, 8, 8)`."""
    pixels = _background(draw, size)
    mask, thing = np.zeros((2, size, size), np.uint8)
    box: list[list[int]] = []
    label: list[int] = []
    for _ in range(draw.integers(2, 7)):
        number = draw.integers(len(digits))
        ink = _ink(digits[number], int(size * draw.uniform(0.17, 0.4)))
        place = _place(draw, mask, ink.shape)
        color = draw.uniform(140, 255, 3)
        if place is None:
            continue
        top, left = place
        inside = np.s_[top : top + ink.shape[0], left : left + ink.shape[1]]
        strength = np.where(ink > INKED, 0.6 + 0.4 * np.clip(ink / WHITE, 0, 1), 0)[..., None]
        pixels[inside] += strength * (color - pixels[inside])
        mask[inside][ink > INKED] = labels[number] + 1
        thing[inside][ink > INKED] = len(label) + 1
        box.append([left, top, left + ink.shape[1], top + ink.shape[0]])
        label.append(labels[number])
    pixels += draw.normal(0, 6, pixels.shape)
    planes = np.ascontiguousarray(np.clip(pixels.round(), 0, 255).astype(np.uint8).transpose(2, 0, 1))
    return Scene(planes, mask[None], np.array(box, np.float32).reshape(-1, 4), np.array(label, np.int64), thing)


def _background(draw: np.random.Generator, size: int) -> np.ndarray:
    """Draw a dark, softly changing background `(s, s, 3)` with lines, rings and discs on it."""
    soft = draw.uniform(10, 90, (5, 5, 3)).astype(np.uint8)
    picture = Image.fromarray(soft).resize((size, size), Image.Resampling.BICUBIC)
    pen = ImageDraw.Draw(picture)
    for _ in range(draw.integers(3, 8)):
        x, y, wide, high = (int(value) for value in draw.uniform(0, size, 4) / (1, 1, 4, 4))
        color, kind = tuple(draw.integers(40, 200, 3).tolist()), draw.integers(3)
        if kind == 0:
            pen.line((x, y, x + 2 * wide - size // 4, y + 2 * high - size // 4), color, width=max(1, size // 96))
        elif kind == 1:
            pen.rectangle((x, y, x + wide + 3, y + high + 3), outline=color)
        else:
            radius = 1 + wide // 8
            pen.ellipse((x - radius, y - radius, x + radius, y + radius), fill=color)
    return np.asarray(picture).astype(np.float64)


def _ink(digit: np.ndarray, size: int) -> np.ndarray:
    """Scale a digit `(8, 8)` up to a side, and cut it out closely: grey levels `(h, w)`."""
    scaled = np.asarray(Image.fromarray(digit.astype(np.float32)).resize((size, size), Image.Resampling.BICUBIC))
    rows, columns = np.nonzero((scaled > INKED).any(1))[0], np.nonzero((scaled > INKED).any(0))[0]
    return scaled[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]


def _place(draw: np.random.Generator, mask: np.ndarray, shape: tuple[int, ...]) -> tuple[int, int] | None:
    """Find a place where a digit touches no other; None where there is none after some tries."""
    for _ in range(TRIES):
        top, left = (int(draw.integers(0, side - own + 1)) for side, own in zip(mask.shape, shape, strict=True))
        around = mask[max(0, top - 1) : top + shape[0] + 1, max(0, left - 1) : left + shape[1] + 1]
        if not around.any():
            return top, left
    return None
