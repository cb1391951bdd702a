"""Pictures and lists that answers about images are written to."""

from __future__ import annotations

import errno
import io
import itertools
import os
from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from dlx.errors import DlxError, UsageError
from dlx.processors.image.decoding import BadImageError, Decoding
from dlx.processors.image.reader import ImageFile, content_of
from dlx.storage import files

LONGEST = 80  # characters of an original's name that the name of a file of its answer begins with
SHADE = 0.5  # of a colour that is laid over a picture
BLANK, END = b"[\n]\n", b"\n]\n"  # a list of nothing, and what a list of anything ends with
# Colours that are told apart, by class; the first is that of a background where there is one (Glasbey's, shortened).
COLORS = (
    (0, 0, 0), (230, 25, 75), (60, 180, 75), (255, 225, 25), (0, 130, 200), (245, 130, 48), (145, 30, 180), (70, 240, 240),
    (240, 50, 230), (210, 245, 60), (250, 190, 212), (0, 128, 128), (220, 190, 255), (170, 110, 40), (255, 250, 200),
    (128, 0, 0), (170, 255, 195), (128, 128, 0), (255, 215, 180), (0, 0, 128), (128, 128, 128), (255, 255, 255),
)  # fmt: skip


def color(code: int) -> tuple[int, int, int]:
    """Give a class's colour; black is left to what is no thing."""
    return COLORS[1 + code % (len(COLORS) - 1)]


def picture(decoding: Decoding, example: ImageFile) -> Image.Image:
    """Read an original image once more, upright and in colour; raises UsageError where it has become unusable."""
    try:
        return decoding.picture(content_of(example), example.name)
    except BadImageError as error:
        raise UsageError(f"{example.name}: {error}") from None


def shaded(picture: Image.Image, mask: np.ndarray, color: tuple[int, int, int]) -> Image.Image:
    """Lay a colour half through over the pixels of a mask, bool `(h, w)`."""
    half = Image.blend(picture, Image.new("RGB", picture.size, color), SHADE)
    return Image.composite(half, picture, Image.fromarray(mask))


def save(image: Image.Image, folder: Path, original: str, ending: str) -> str:
    """Save a PNG named after the original in a folder, which is made; names that are taken get a number. Gives its path."""
    content = io.BytesIO()
    image.save(content, "PNG")
    stem = os.path.splitext(os.path.basename(original))[0][:LONGEST] or "image"
    try:
        files.make_folder(folder)
        for number in itertools.count(1):
            path = folder / f"{stem}{f'-{number}' if number > 1 else ''}{ending}"
            try:
                files.create(path, content.getvalue())
            except FileExistsError:
                continue
            return str(path)
    except OSError as error:
        raise _unwritable(folder, error) from None
    raise AssertionError("counting does not end")


def add_to_list(path: Path, items: Sequence[str]) -> None:
    """Add JSON values to the list that a file holds, one a line; it is a whole list after every call, however long it is."""
    try:
        files.make_folder(path.parent)
        if not os.path.lexists(path):
            files.create(path, BLANK)
        if not items:
            return
        _refuse_other(path)
        with files.append(path) as file:
            size = file.tell()
            os.ftruncate(file.fileno(), size - len(END))
            file.write((b"\n" if size == len(BLANK) else b",\n") + ",\n".join(items).encode() + END)
    except OSError as error:
        raise _unwritable(path, error) from None


def _refuse_other(path: Path) -> None:
    with files.opened(path) as file:
        file.seek(-len(END), os.SEEK_END)
        if file.read() != END:
            raise OSError(errno.EEXIST, "holds something else, which is left as it is")


def _unwritable(path: Path, error: OSError) -> DlxError:
    return DlxError(f"{path}: cannot be written: {error.strerror or error}")
