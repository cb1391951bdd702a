"""Which beginnings of an answer consist of known words."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any


class KnownWords:
    """Tells of codes whether their text has known words only, the last of which may be unfinished."""

    def __init__(self, tokenizer: Any, words: Iterable[str]) -> None:
        self.tokenizer, self.words = tokenizer, frozenset(words)
        self.beginnings = frozenset(word[:size] for word in self.words for size in range(len(word) + 1))

    def begins(self, codes: tuple[int, ...]) -> bool:
        """Tell whether what codes say may be gone on with; the one shorter by a piece may be."""
        *whole, last = self.tokenizer.decode(codes).lstrip().split(" ")
        return last in self.beginnings and (not whole or whole[-1] in self.words)

    def finished(self, codes: Sequence[int]) -> bool:
        """Tell whether all words of an answer are known."""
        return all(word in self.words for word in self.tokenizer.decode(codes).split())
