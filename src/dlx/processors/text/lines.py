"""Lines of text files, each with its place."""

from __future__ import annotations

import os
import re
from collections.abc import Iterable, Iterator
from typing import NamedTuple

from dlx.core import File
from dlx.errors import UsageError, printable
from dlx.processors.csv.text import blocks

NAME = re.compile(r"\S*/\S*|\S*\.\w{1,5}")  # what is more likely the name of a file than a text: "Hello." is a text
ENDING = re.compile(r".*(/.*|\.\w{1,5})", re.DOTALL)  # what is the name of a file if there is one
AS_TEXT = "as a text it goes in by standard input (-)"
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
    """Read what is given to `dlx predict`: texts as they are, and files of a text a line; `-` is standard input.

    A `File` must be one, and so must what looks like its name: a word with a slash or an ending. Words are the name of a file
    where there is such a one with a slash or an ending; any other name of a file is refused, since it might be a text.
    Raises UsageError for all that cannot be read, before the first text is given.
    """
    wanted = [(given, names_file(given)) for given in inputs]
    if faults := [f"{printable(given)}: {fault}" for given, is_file in wanted if (fault := wrong(given, is_file))]:
        raise UsageError("\n".join(faults))
    for given, is_file in wanted:
        if is_file:
            yield from read_lines(given)
        else:
            yield Line(given)


def names_file(given: str) -> bool:
    """Tell whether an input is meant as a file."""
    if isinstance(given, File) or given == "-" or NAME.fullmatch(given):
        return True
    return bool(ENDING.fullmatch(given)) and os.path.isfile(given)


def wrong(given: str, is_file: bool) -> str:
    """Say why an input can be read neither as a file nor as a text; "" where it can."""
    if not is_text(given):
        return "is no UTF-8 text"
    if not is_file:
        return f"is the name of a file: its lines are read by --file {given}; {AS_TEXT}" if os.path.isfile(given) else ""
    if given == "-" or (os.path.exists(given) and not os.path.isdir(given)):
        return ""
    found = "is a folder" if os.path.isdir(given) else "no such file"
    return found if isinstance(given, File) else f"{found}; {AS_TEXT}"
