"""Lines of text files, each with its place."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dlx.errors import UsageError
from dlx.processors.csv.text import blocks

FILE_LIKE = re.compile(r"\S*/\S*|\S*\.\w{1,5}")  # what is more likely the name of a file than a text: "Hello." is a text
SURROGATE = re.compile("[\ud800-\udfff]")


class Line(NamedTuple):
    """A text and where it was written."""

    text: str
    place: str = "text"


def is_text(text: str) -> bool:
    """Tell whether all of a text are characters; half of a pair of surrogates, from JSON or a shell, is none."""
    return not SURROGATE.search(text)


def read_lines(file: str, strip: bool = True) -> Iterator[Line]:
    """Read the lines of a UTF-8 file, plain or gzipped, or of standard input for `-`; raises UsageError with the line.

    Blanks and tabs round a line are left out unless `strip` is False.
    """
    name = "standard input" if file == "-" else file
    for block in blocks(file, wait=False):
        lines = block.content.decode().removesuffix("\n").split("\n")  # splitlines would also part at rarer marks of Unicode
        for number, line in enumerate(lines, block.line + 1):
            yield Line(line.strip() if strip else line.removesuffix("\r"), f"{name}:{number}")


def read_texts(inputs: Iterable[str]) -> Iterator[Line]:
    """Read what is given to `dlx predict`: files of a text a line, `-` for standard input, or texts as they are.

    What looks like the name of a file, having no blank but a dot or a slash, must be one.
    """
    wanted = list(inputs)
    missing = [given for given in wanted if FILE_LIKE.fullmatch(given) and given != "-" and not os.path.exists(given)]
    if missing:
        raise UsageError(
            "\n".join(f"{given}: no file; a text that looks like the name of one has a blank in it too" for given in missing)
        )
    if strange := [given for given in wanted if not is_text(given)]:
        raise UsageError(f"{strange[0]!r}: is no UTF-8 text")
    for given in wanted:
        if given == "-" or os.path.isfile(given):
            yield from read_lines(given)
        else:
            yield Line(given)
