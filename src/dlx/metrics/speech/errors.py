"""Word and character error rates, as jiwer counts them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import numpy as np

from dlx.core import Batch, Metric
from dlx.registry import metrics


class ErrorRate(Metric):
    """Edits that turn answers into transcripts, over the transcripts' pieces; answers and transcripts are written one way."""

    reads = frozenset({"output", "time"})  # the times are not counted, but only what is heard has them
    higher_is_better = False
    name: str

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.edits = self.pieces = 0

    def cut(self, text: str) -> Sequence[str]:
        """Cut a text into what is counted."""
        raise NotImplementedError

    def update(self, prediction: Batch, batch: Batch) -> None:
        for codes, references in zip(prediction["output"].tolist(), batch["reference"], strict=True):
            right = self.cut(self.processor.normalize(references[0]))
            said = self.cut(self.processor.normalize(self.processor.detokenize(codes)))
            self.edits, self.pieces = self.edits + distance(said, right), self.pieces + len(right)

    def merge(self, other: Metric) -> None:
        assert isinstance(other, ErrorRate)
        self.edits, self.pieces = self.edits + other.edits, self.pieces + other.pieces

    def compute(self) -> dict[str, float]:
        return {self.name: self.edits / self.pieces if self.pieces else math.nan}

    def undefined(self) -> str:
        return "" if self.pieces else "no transcript has any words"


@metrics("wer")
class WordErrorRate(ErrorRate):
    """Word error rate: words inserted, left out and replaced, over the words that were said."""

    name = "wer"

    def cut(self, text: str) -> Sequence[str]:
        return text.split()


@metrics("cer")
class CharacterErrorRate(ErrorRate):
    """Character error rate: characters inserted, left out and replaced, blanks counted, over those of the transcripts."""

    name = "cer"

    def cut(self, text: str) -> Sequence[str]:
        return text


def distance(one: Sequence[str], other: Sequence[str]) -> int:
    """Count the insertions, deletions and replacements that turn one sequence into the other (Levenshtein 1966)."""
    codes: dict[str, int] = {}
    left, right = (np.array([codes.setdefault(piece, len(codes)) for piece in text], np.int64) for text in (one, other))
    place = np.arange(len(right) + 1)
    row = place.copy()
    for number, piece in enumerate(left, 1):
        changed = np.append(number, np.minimum(row[1:] + 1, row[:-1] + (right != piece)))
        row = np.minimum.accumulate(changed - place) + place  # insertions go along the row
    return int(row[-1])
