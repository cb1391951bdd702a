"""What a reader under fuzzing is: good inputs, changes of them, and one attempt."""

from __future__ import annotations

import random
from abc import ABC, abstractmethod
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzz.mutations import SECRET, mutate

ROOT = Path(__file__).resolve().parents[2]


@dataclass(frozen=True)
class Case:
    """An input: the name of the file, and its content."""

    name: str
    content: bytes


class Reader(ABC):
    """Something that reads what others wrote."""

    words: tuple[bytes, ...] = (
        SECRET.encode(),
        b"\0",
        b"\xff\xfe",
        b"\xef\xbb\xbf",
        b"\r\n",
        b"%n",
        b"\xe2\x80\xae",
        b"\x1b[2J",
    )

    def __init__(self, folder: Path) -> None:
        """Make what it needs in a folder of its own."""
        self.folder = folder
        self.seeds = self.good()

    @abstractmethod
    def good(self) -> list[Case]:
        """Make inputs that are read."""

    @abstractmethod
    def read(self, case: Case, scratch: Path) -> Any:
        """Read an input; a text that is given back says what is wrong with the value."""

    def change(self, draw: random.Random, case: Case) -> Case:
        """Make a hostile input of a good one."""
        return Case(case.name, mutate(draw, case.content, self.words, [seed.content for seed in self.seeds]))


def written(case: Case, scratch: Path) -> str:
    """Write an input to its file."""
    file = scratch / case.name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(case.content)
    return str(file)
