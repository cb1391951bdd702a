"""A file of a mask to one class a pixel: no value between two is ever made, and none that nobody knows is taken."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from PIL import Image

from dlx.processors.image.decoding import RESIZE, BadImageError, Decoding

VOID = 255  # the stored value of a pixel that counts for nothing
STRANGE = 254  # of one whose value means no class
MOST_CLASSES = 254
LOSSY = ("JPEG", "MPO")
PLAIN = ("L", "P", "1")  # modes of one value a pixel, for a palette the number within it; those of 16 bits beside them
Color = tuple[int, int, int]


@dataclass(frozen=True)
class MaskDecoding(Decoding):
    """What becomes of a mask: class numbers uint8 `(1, H, W)`, and 255 where the file's value is one of those `ignored`.

    `values` are the pixels' values by class, for a palette the numbers within it; where `colors` are given, red, green and
    blue of each class stand in their place, and `ignored_colors` in that of `ignored`. Borders are ignored too.
    """

    channels: int = 1
    values: tuple[int, ...] = ()
    ignored: tuple[int, ...] = ()
    colors: tuple[Color, ...] = ()
    ignored_colors: tuple[Color, ...] = ()

    @classmethod
    def restored(cls, state: Mapping[str, Any]) -> MaskDecoding:
        """Make the settings again from JSON values, which have lists where these have tuples."""
        numbers = {key: tuple(state[key]) for key in ("values", "ignored")}
        colors = {key: tuple(map(tuple, state[key])) for key in ("colors", "ignored_colors")}
        return cls(**{**state, **numbers, **colors})

    def refuse(self, image: Image.Image, name: str) -> None:
        """Raise BadImageError where a file must not be decoded, or is of a format that blurs."""
        super().refuse(image, name)
        if image.format in LOSSY:
            raise BadImageError("lossy: JPEG changes the values of a mask; keep masks as PNG")

    def fit(self, image: Image.Image) -> np.ndarray:
        """Bring a mask to its size by the nearest pixel: uint8 `(1, H, W)`. Raises BadImageError."""
        codes = Image.fromarray(self.codes(image))
        if codes.size != (self.width, self.height):
            codes = RESIZE[self.resize](codes, self.width, self.height, Image.Resampling.NEAREST, VOID)
        return np.asarray(codes)[None]

    def codes(self, image: Image.Image) -> np.ndarray:
        """Look up the class of every pixel: uint8 `(h, w)`. Raises BadImageError at a value that means none."""
        values = _packed(image) if self.colors else _values(image)
        codes = self.table[values]
        if (strange := codes == STRANGE).any():
            row, column = np.argwhere(strange)[0].tolist()
            value = int(values[row, column])
            found = f"colour {_unpacked(value)}" if self.colors else f"value {value}"
            raise BadImageError(f"unknown class: the {found} at x {column}, y {row} is that of no class")
        return codes

    @cached_property
    def table(self) -> np.ndarray:
        """Give the class of every value there may be: uint8 `(65536,)`, or `(2 ** 24,)` of colours."""
        table = np.full(2**24 if self.colors else 2**16, STRANGE, np.uint8)
        ignored = list(map(_pack, self.ignored_colors)) if self.colors else list(self.ignored)
        classes = list(map(_pack, self.colors)) if self.colors else list(self.values)
        table[ignored] = VOID
        table[classes] = np.arange(len(classes))
        return table


def _values(image: Image.Image) -> np.ndarray:
    if image.mode not in PLAIN and not image.mode.startswith("I"):
        raise BadImageError(f"unreadable: a mask of mode {image.mode} has more than one value a pixel; name its colors")
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise BadImageError("unreadable: its values are beyond 65,535")
    return values


def _packed(image: Image.Image) -> np.ndarray:
    """Pack the colours of pixels into numbers `(h, w)`."""
    if image.mode not in ("RGB", "RGBA", "P"):
        raise BadImageError(f"unreadable: a mask of mode {image.mode} has no colors; leave out colors")
    pixels = np.asarray(image.convert("RGB")).astype(np.int32)
    return (pixels[..., 0] << 16) | (pixels[..., 1] << 8) | pixels[..., 2]


def _pack(color: Color) -> int:
    return (color[0] << 16) | (color[1] << 8) | color[2]


def _unpacked(value: int) -> Color:
    return value >> 16, (value >> 8) & 255, value & 255


def restore(state: Mapping[str, Any]) -> Decoding:
    """Make the settings again, whatever kind of decoding they are of."""
    return MaskDecoding.restored(state) if "values" in state else Decoding(**state)
