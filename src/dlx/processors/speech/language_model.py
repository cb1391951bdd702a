"""How likely words follow words: an n-gram model with Witten-Bell smoothing, counted in transcripts."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from pydantic import TypeAdapter, ValidationError

from dlx.errors import UsageError, dotted

OUTSIDE = ""  # before the first word and behind the last one; no word is empty


class LanguageModel:
    """Gives the probability of a word after others (interpolated Witten-Bell smoothing, Chen and Goodman 1999).

    With c occurrences of a history, followed by t different words, P(word | history) = (c(history, word) + t P(word | shorter
    history)) / (c + t). Below single words lies the uniform distribution over all known words, the end, and one unknown word.
    """

    def __init__(self, order: int, counts: Mapping[tuple[str, ...], int]) -> None:
        self.order, self.counts = order, dict(counts)  # of n-grams of `order` words
        self.following: dict[tuple[str, ...], Counter[str]] = defaultdict(Counter)
        for (*history, word), count in self.counts.items():
            for start in range(order):
                self.following[tuple(history[start:])][word] += count
        self.totals = {history: words.total() for history, words in self.following.items()}
        self.uniform = 1 / (len(self.following[()] | Counter([OUTSIDE])) + 1)

    @classmethod
    def fit(cls, order: int, texts: Iterable[str]) -> LanguageModel:
        """Count the n-grams of texts, ends included."""
        counts: Counter[tuple[str, ...]] = Counter()
        for text in texts:
            padded = [*[OUTSIDE] * (order - 1), *text.split(), OUTSIDE]
            counts.update(tuple(padded[start : start + order]) for start in range(len(padded) - order + 1))
        return cls(order, counts)

    def log_probability(self, word: str, before: Sequence[str]) -> float:
        """Return the log-probability of a word, or of the end (""), after all words before it."""
        kept = self.order - 1
        history = [*[OUTSIDE] * kept, *before][-kept:] if kept else []
        return math.log(self._probability(word, tuple(history)))

    def _probability(self, word: str, history: tuple[str, ...]) -> float:
        shorter = self._probability(word, history[1:]) if history else self.uniform
        words = self.following.get(history)
        if words is None:
            return shorter
        return (words[word] + len(words) * shorter) / (self.totals[history] + len(words))

    def state_dict(self) -> dict[str, Any]:
        """Return the n-grams with their counts, as JSON values."""
        return {"order": self.order, "counts": [[list(words), count] for words, count in self.counts.items()]}

    @classmethod
    def from_state(cls, state: Any) -> LanguageModel:
        """Make it again; raises UsageError where the state is damaged."""
        try:
            order = TypeAdapter(int).validate_python(state["order"], strict=True)
            counts = TypeAdapter(list[tuple[list[str], int]]).validate_python(state["counts"])
        except (KeyError, TypeError) as error:
            raise UsageError(f"the state of the language model is damaged: {error}") from None
        except ValidationError as error:
            first = error.errors()[0]
            raise UsageError(f"the state of the language model is damaged: {dotted(first['loc'])}: {first['msg']}") from None
        if order < 1 or any(len(words) != order or count < 1 for words, count in counts):
            raise UsageError("the state of the language model is damaged: its n-grams are not of its order")
        return cls(order, {tuple(words): count for words, count in counts})
