"""An image file to pixels of one size: the same for training and for prediction. It imports no torch: decoders are small."""

from __future__ import annotations

import errno
import io
import struct
import warnings
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np
from PIL import Image, ImageOps

Resize = Literal["squash", "crop", "pad"]
VERSION = 1  # of the pixels that come out: a cache made by another version is not used
# Formats whose decoders read pixels and run no program: EPS, for one, would start Ghostscript.
FORMATS = ("JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM")
ENDINGS = {
    ".jpg": "JPEG", ".jpeg": "JPEG", ".jpe": "JPEG", ".jfif": "JPEG", ".png": "PNG", ".gif": "GIF", ".bmp": "BMP",
    ".tif": "TIFF", ".tiff": "TIFF", ".webp": "WEBP", ".ppm": "PPM", ".pgm": "PPM", ".pbm": "PPM", ".pnm": "PPM",
}  # fmt: skip
MAX_PIXELS = 89_478_485  # Pillow's own limit: beyond it, it warns of a decompression bomb
FILE_BYTES = 2**29  # of a file: as many pixels of 16 bits and 3 channels, not compressed at all, take fewer
TILE_WIDTH, TILE_LENGTH = 0x0142, 0x0143  # the TIFF tags: a tile is unpacked whole, whatever part of it the image is
ORIENTATION = 0x0112  # the EXIF tag
LYING = (5, 6, 7, 8)  # its values under which width and height change places
BROKEN = (OSError, SyntaxError, ValueError, EOFError, IndexError, KeyError, TypeError, OverflowError, struct.error, zlib.error,
          MemoryError, Image.DecompressionBombError)  # fmt: skip


class BadImageError(Exception):
    """A file that cannot be used as an image; the message says why, without the file's name."""


def unreadable(error: OSError) -> BadImageError:
    """Say why a file could not be read."""
    if error.errno == errno.EFBIG:
        return BadImageError(f"oversized: it has more than {FILE_BYTES:,} bytes")
    return BadImageError(f"cannot be read: {error.strerror or error}")


@dataclass(frozen=True)
class Decoding:
    """What becomes of a file: `channels` 3 or 1, `height` and `width` in pixels, and how its own size is met.

    `check_endings` refuses a file whose name has another format's ending.
    """

    height: int
    width: int
    channels: int = 3
    resize: Resize = "squash"
    max_pixels: int = MAX_PIXELS
    check_endings: bool = True

    @property
    def shape(self) -> tuple[int, int, int]:
        """Give (C, H, W)."""
        return self.channels, self.height, self.width

    def state_dict(self) -> dict[str, Any]:
        """Tell the settings as JSON values."""
        return asdict(self)

    def __call__(self, content: bytes, name: str) -> np.ndarray:
        """Decode a file to uint8 `(C, H, W)`; `name` tells its ending. Raises BadImageError."""
        return self.measured(content, name)[0]

    def measured(self, content: bytes, name: str) -> tuple[np.ndarray, tuple[int, int]]:
        """Decode a file, and tell the width and the height of the upright image that it holds. Raises BadImageError."""
        with self._opened(content, name) as image:
            size = upright_size(image)
            side = 2 * max(self.width, self.height)
            image.draft(None, (side, side))  # a JPEG much larger is read at a fraction of its size
            return self.fit(self._loaded(image)), size

    def picture(self, content: bytes, name: str) -> Image.Image:
        """Decode a file to an upright image of its own size, in colour. Raises BadImageError."""
        with self._opened(content, name) as image:
            return in_colors(self._loaded(image), 3)

    @contextmanager
    def _opened(self, content: bytes, name: str) -> Iterator[Image.Image]:
        try:
            with warnings.catch_warnings(action="ignore"), Image.open(io.BytesIO(content), formats=FORMATS) as image:
                self.refuse(image, name)
                yield image
        except BadImageError:
            raise
        except BROKEN as error:
            raise BadImageError(_reason(error, content)) from None

    def _loaded(self, image: Image.Image) -> Image.Image:
        image.load()
        self._refuse_size(image.size)  # a frame of a GIF may be larger than the file said at first
        return upright(image)

    def place(self, width: int, height: int) -> tuple[float, float, float, float]:
        """Tell where an upright image of a size lies among the decoded pixels: left, top, width and height."""
        if self.resize == "crop":
            scale = min(width / self.width, height / self.height)
            size = width / scale, height / scale
            return (self.width - size[0]) / 2, (self.height - size[1]) / 2, *size
        if self.resize == "pad":
            wide, high = padded_size(width, height, self.width, self.height)
            return (self.width - wide) // 2, (self.height - high) // 2, wide, high
        return 0.0, 0.0, self.width, self.height

    def refuse(self, image: Image.Image, name: str) -> None:
        """Raise BadImageError where a file's header tells that it must not be decoded."""
        self._refuse_size(image.size)
        if image.format == "TIFF":
            self._refuse_size(_tile(image), "its tiles of ")
        held = "JPEG" if image.format == "MPO" else image.format  # what telephones put into a .jpg
        named = ENDINGS.get("." + name.rpartition(".")[2].lower())
        if self.check_endings and named and named != held:
            raise BadImageError(f"mislabelled: it holds {held}, but its name says {named}")

    def _refuse_size(self, size: tuple[int, int], what: str = "") -> None:
        if size[0] * size[1] > self.max_pixels:
            raise BadImageError(f"oversized: {what}{size[0]}x{size[1]} are more than max_pixels {self.max_pixels:,}")

    def fit(self, image: Image.Image) -> np.ndarray:
        """Bring an image of any mode and size to uint8 `(C, H, W)`. Raises BadImageError."""
        plain = in_colors(image, self.channels)
        if plain.size != (self.width, self.height):
            plain = RESIZE[self.resize](plain, self.width, self.height, BILINEAR, 0)
        pixels = np.asarray(plain)
        planes = np.empty(self.shape, np.uint8)
        for channel in range(self.channels):  # a plane at a time takes a quarter of the time of one transposition
            planes[channel] = pixels if self.channels == 1 else pixels[..., channel]
        return planes


def _tile(image: Any) -> tuple[int, int]:
    """Tell the size of a TIFF's tiles; strips are no wider than the image, and are cut at its height."""
    width, length = (image.tag_v2.get(tag, 0) for tag in (TILE_WIDTH, TILE_LENGTH))
    if not isinstance(width, int) or not isinstance(length, int):
        raise BadImageError("unreadable: the size of its tiles is no number")
    return width, length


def _reason(error: Exception, content: bytes) -> str:
    if not content:
        return "unreadable: it is empty"
    if isinstance(error, Image.UnidentifiedImageError):
        return f"unreadable: none of {', '.join(FORMATS)}"
    if isinstance(error, Image.DecompressionBombError):
        return "oversized: Pillow takes it for a decompression bomb"
    text = str(error).partition("\n")[0] or type(error).__name__
    return f"truncated: {text}" if "truncated" in text.lower() else f"unreadable: {text}"


def upright(image: Image.Image) -> Image.Image:
    """Turn an image as its EXIF orientation says; EXIF that cannot be read says nothing."""
    try:
        turned = image.getexif().get(ORIENTATION, 1) != 1
    except BROKEN:
        return image
    return ImageOps.exif_transpose(image) if turned else image


def upright_size(image: Image.Image) -> tuple[int, int]:
    """Tell the width and height that an image has once it is upright, by its header."""
    try:
        lies = image.getexif().get(ORIENTATION, 1) in LYING
    except BROKEN:
        lies = False
    return (image.height, image.width) if lies else image.size


def in_colors(image: Image.Image, channels: int) -> Image.Image:
    """Convert any mode to RGB or grey; what is transparent is laid on white. Raises BadImageError."""
    mode = "RGB" if channels == 3 else "L"
    if image.mode == mode and "transparency" not in image.info:
        return image
    if image.mode.startswith("I"):
        image = _from_16_bits(image)
    elif image.mode == "F":
        raise BadImageError("unreadable: its pixels are floating-point numbers, whose range nothing tells")
    elif image.has_transparency_data:
        layer = image.convert("RGBA")
        image = Image.alpha_composite(Image.new("RGBA", layer.size, "white"), layer)
    elif image.mode in ("CMYK", "YCbCr", "LAB", "HSV", "P"):
        image = image.convert("RGB")  # to grey only from there: Pillow converts some of them no other way
    return image.convert(mode)


def _from_16_bits(image: Image.Image) -> Image.Image:
    values = np.asarray(image).astype(np.int64)
    if values.min() < 0 or values.max() > 65535:
        raise BadImageError("unreadable: its pixels are 32-bit numbers beyond 65,535, whose range nothing tells")
    return Image.fromarray(((values + 128) // 257).astype(np.uint8))


# Bilinear, over all pixels that go into one, as torchvision's transforms resize Pillow images; masks by the nearest pixel.
def _squash(image: Image.Image, width: int, height: int, how: Image.Resampling, fill: int) -> Image.Image:
    return image.resize((width, height), how)


def _crop(image: Image.Image, width: int, height: int, how: Image.Resampling, fill: int) -> Image.Image:
    scale = min(image.width / width, image.height / height)
    left, top = (image.width - scale * width) / 2, (image.height - scale * height) / 2
    box = (left, top, left + scale * width, top + scale * height)
    return image.resize((width, height), how, box=box)


def _pad(image: Image.Image, width: int, height: int, how: Image.Resampling, fill: int) -> Image.Image:
    size = padded_size(image.width, image.height, width, height)
    whole = Image.new(image.mode, (width, height), fill)
    whole.paste(image.resize(size, how), ((width - size[0]) // 2, (height - size[1]) // 2))
    return whole


def padded_size(wide: int, high: int, width: int, height: int) -> tuple[int, int]:
    """Tell the size of an image that is scaled to fit within another."""
    scale = max(wide / width, high / height)
    return max(1, round(wide / scale)), max(1, round(high / scale))


RESIZE = {"squash": _squash, "crop": _crop, "pad": _pad}
BILINEAR = Image.Resampling.BILINEAR
