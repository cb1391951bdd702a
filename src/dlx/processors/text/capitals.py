"""Capitals as marks of their own, so that a word is the same pieces wherever it stands (Bérard et al. 2019)."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from dlx.processors.tokenizer import WORD, Tokenizer

FIRST, ALL = "⇧", "⇪"  # before a word with a capital first letter, and before one of capitals alone
MARKED = re.compile(rf"{FIRST} (.)|{ALL} ({WORD.pattern})", re.DOTALL)
LEFT_OVER = re.compile(f"[{FIRST}{ALL}] ?")  # a model may write a mark before nothing


class Capitals(Tokenizer):
    """Cuts texts as another tokenizer does, a word with capitals as its lower case behind a mark.

    Words of mixed case, such as iPhone, stay as they are. Decoded texts have their capitals again, and never hold a mark.
    """

    lowercase = False

    def __init__(self, inner: Tokenizer) -> None:
        self.inner, self.kind, self.pieces = inner, inner.kind, inner.pieces

    @property
    def case(self) -> str:
        return "capitals as marks"

    def cut(self, text: str) -> list[int]:
        return self.inner.cut(mark(text))

    def join(self, codes: Sequence[int]) -> str:
        return unmark(self.inner.join(codes))

    def state_dict(self) -> dict[str, Any]:
        return {**self.inner.state_dict(), "lowercase": "marked"}


def mark(text: str) -> str:
    """Return a text with its capitals as marks: "Tom likes NASA." becomes "⇧ tom likes ⇪ nasa."."""
    return WORD.sub(lambda found: _folded(found[0]), text)


def unmark(text: str) -> str:
    """Return the text that marks stand for; the inverse of `mark` for every text without marks of its own."""
    return LEFT_OVER.sub("", MARKED.sub(lambda found: (found[1] or found[2]).upper(), text))


def _folded(word: str) -> str:
    lower = word.lower()
    if word == lower:
        return word
    if word == lower[0].upper() + lower[1:]:
        return f"{FIRST} {lower}"
    return f"{ALL} {lower}" if word == lower.upper() and WORD.fullmatch(lower) else word
