"""Texts to codes and back: words, characters, bytes, or learned pieces of words."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Sequence
from typing import Any, Literal

Kind = Literal["words", "characters", "bytes", "bpe", "unigram"]
Case = bool | Literal["marked"]  # whether texts are read in lower case, or so with marks where capitals were
PADDING, UNKNOWN, BEGIN, END = range(4)  # codes that stand for no piece of a text
SPECIAL = 4
SPECIAL_PIECES = ("<padding>", "<unknown>", "<begin>", "<end>")
WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")  # a word with its apostrophes, or a single mark
BEFORE_MARK, BEHIND_MARK = re.compile(r" (?=[.,;:!?%)\]}…»”])"), re.compile(r"(?<=[¿¡(\[{«“]) ")


class Tokenizer(ABC):
    """Cuts texts into pieces and numbers them; codes below SPECIAL are padding, unknown, begin and end."""

    kind: Kind
    lowercase: bool
    pieces: Sequence[str]  # by code

    @property
    def size(self) -> int:
        """Return the number of codes."""
        return len(self.pieces)

    @property
    def case(self) -> str:
        """Say what becomes of capitals, if anything does."""
        return "in lower case" if self.lowercase else ""

    def encode(self, text: str) -> list[int]:
        """Return the codes of a text; one that is empty is one unknown piece."""
        return self.cut(text.lower() if self.lowercase else text) or [UNKNOWN]

    def decode(self, codes: Iterable[int]) -> str:
        """Return the text that codes stand for, up to the first END; padding and BEGIN are no text."""
        kept = list[int]()
        for code in codes:
            if code == END:
                break
            if code not in (PADDING, BEGIN) and code >= 0:
                kept.append(code)
        return self.join(kept)

    @abstractmethod
    def cut(self, text: str) -> list[int]:
        """Return the codes of a text's pieces."""

    @abstractmethod
    def join(self, codes: Sequence[int]) -> str:
        """Return the text of codes, none of which is padding, BEGIN or END."""

    @abstractmethod
    def state_dict(self) -> dict[str, Any]:
        """Return what encoding and decoding need, as JSON values."""


class Words(Tokenizer):
    """Runs of letters and digits, and single marks; or every character of Unicode.

    Decoded words stand with a blank between, but none before a closing mark or behind an opening one.
    """

    def __init__(self, kind: Literal["words", "characters"], lowercase: bool, vocabulary: Sequence[str]) -> None:
        self.kind, self.lowercase = kind, lowercase
        self.pieces = [*SPECIAL_PIECES, *vocabulary]
        self.codes = {piece: code for code, piece in enumerate(vocabulary, SPECIAL)}

    def cut(self, text: str) -> list[int]:
        return [self.codes.get(piece, UNKNOWN) for piece in split(self.kind, text)]

    def join(self, codes: Sequence[int]) -> str:
        pieces = [self.pieces[code] if code != UNKNOWN else "�" for code in codes]
        if self.kind == "characters":
            return "".join(pieces)
        return BEHIND_MARK.sub("", BEFORE_MARK.sub("", " ".join(pieces)))

    def state_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "lowercase": self.lowercase, "vocabulary": list(self.pieces[SPECIAL:])}


class Bytes(Tokenizer):
    """The bytes of UTF-8; nothing is ever unknown."""

    kind = "bytes"

    def __init__(self, lowercase: bool) -> None:
        self.lowercase = lowercase
        self.pieces = [*SPECIAL_PIECES, *(f"<{byte:02x}>" for byte in range(256))]

    def cut(self, text: str) -> list[int]:
        return [SPECIAL + byte for byte in text.encode("utf-8", "surrogatepass")]

    def join(self, codes: Sequence[int]) -> str:
        return bytes(code - SPECIAL for code in codes if code >= SPECIAL).decode("utf-8", "replace")

    def state_dict(self) -> dict[str, Any]:
        return {"kind": self.kind, "lowercase": self.lowercase}


def split(kind: Kind, text: str) -> list[str]:
    """Split a text into words and marks, or into characters."""
    return WORD.findall(text) if kind == "words" else list(text)
