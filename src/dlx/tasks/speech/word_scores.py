"""What the words of an answer are worth beside what is heard: by a language model, and each by its mere being."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

END = ""


class WordScores:
    """Adds to the log-probability of a beginning `weight` times that of its whole words by `model`, and `bonus` a word."""

    def __init__(self, tokenizer: Any, model: Any, weight: float, bonus: float) -> None:
        self.tokenizer, self.model, self.weight, self.bonus = tokenizer, model, weight, bonus
        self.known: dict[tuple[str, ...], float] = {(): 0.0}

    def begun(self, codes: tuple[int, ...]) -> float:
        """Return what a beginning's words are worth, but for the last, which may be unfinished."""
        return self.total(tuple(self.tokenizer.decode(codes).lstrip().split(" ")[:-1]))

    def finished(self, codes: Sequence[int]) -> float:
        """Return what all words of an answer are worth, and that it ends there."""
        words = tuple(self.tokenizer.decode(codes).split())
        return self.total(words) + self.weighed(END, words)

    def total(self, words: tuple[str, ...]) -> float:
        """Return what words are worth."""
        if words not in self.known:
            *before, last = words
            self.known[words] = self.total(tuple(before)) + self.weighed(last, before) + self.bonus
        return self.known[words]

    def weighed(self, word: str, before: Sequence[str]) -> float:
        """Return the weighed log-probability of a word."""
        weighed: float = self.weight * self.model.log_probability(word, before) if self.weight else 0.0
        return weighed
