"""What processors of texts share: the lines they read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from dlx.core import Processor
from dlx.processors.text.lines import Line, read_texts

WINDOW = 32


class Texts(Processor):
    """A processor whose examples are lines; `dlx predict` answers those of about one length together."""

    window = WINDOW

    def read(self, inputs: Iterable[str]) -> Iterator[Line]:
        """Read texts as they are, files of a text a line, and `-` for standard input."""
        return read_texts(inputs)

    def length(self, example: Line) -> int:
        """Count a text's characters, which go with its pieces closely enough to sort by."""
        return len(example.text)

    def place(self, example: Line) -> str:
        """Return the file and the line of a text."""
        return "" if example.place == "text" else example.place
