"""ROUGE: how many words, pairs of words, and longest common subsequences answers share with what was right."""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from typing import Any, Literal

from dlx.core import Batch, Metric
from dlx.registry import metrics

WORDS = {"unicode": re.compile(r"[^\W_]+"), "ascii": re.compile(r"[a-z0-9]+")}
NAMES = ("rouge1", "rouge2", "rougeLsum")


@metrics("rouge")
class Rouge(Metric):
    """The mean F1 of ROUGE-1, ROUGE-2 and ROUGE-Lsum, from 0 to 1 (Lin 2004), of each the best over all right answers.

    Words are runs of Unicode letters and digits, in lower case and unstemmed: on English the numbers are rouge-score's.
    `words: ascii` cuts as rouge-score does in all languages. Lines count as sentences.
    """

    reads = frozenset({"output"})

    def __init__(self, processor: Any, *, words: Literal["unicode", "ascii"] = "unicode") -> None:
        self.processor, self.pattern = processor, WORDS[words]
        self.sums, self.seen = [0.0] * len(NAMES), 0

    def update(self, prediction: Batch, batch: Batch) -> None:
        for codes, references in zip(prediction["output"].tolist(), batch["reference"], strict=True):
            output = self.processor.detokenize(codes)
            each = [self.f1(reference, output) for reference in references]
            self.sums = [total + max(values) for total, values in zip(self.sums, zip(*each, strict=True), strict=True)]
            self.seen += 1

    def f1(self, reference: str, output: str) -> tuple[float, float, float]:
        """Return the three F1 of an answer against a right one."""
        right, given = ([self.pattern.findall(line) for line in text.lower().split("\n")] for text in (reference, output))
        one, other = [word for line in right for word in line], [word for line in given for word in line]
        return overlap(one, other, 1), overlap(one, other, 2), summary_overlap(right, given)

    def merge(self, other: Metric) -> None:
        assert isinstance(other, Rouge)
        self.sums = [one + more for one, more in zip(self.sums, other.sums, strict=True)]
        self.seen += other.seen

    def compute(self) -> dict[str, float]:
        return {name: total / self.seen if self.seen else math.nan for name, total in zip(NAMES, self.sums, strict=True)}


def overlap(right: Sequence[str], given: Sequence[str], size: int) -> float:
    """Return the F1 of the n-grams that two lists of words share."""
    one, other = (Counter(tuple(words[n : n + size]) for n in range(len(words) - size + 1)) for words in (right, given))
    return f_measure((one & other).total(), one.total(), other.total())


def summary_overlap(right: Sequence[Sequence[str]], given: Sequence[Sequence[str]]) -> float:
    """Return the F1 of the union of longest common subsequences of each right line with all given ones."""
    left, free = (Counter(word for line in lines for word in line) for lines in (right, given))
    sizes, hits = (left.total(), free.total()), 0
    for line in right:
        union = sorted({place for other in given for place in common(line, other)})
        for word in (line[place] for place in union):
            if left[word] > 0 and free[word] > 0:
                hits += 1
                left[word] -= 1
                free[word] -= 1
    return f_measure(hits, *sizes)


def common(one: Sequence[str], other: Sequence[str]) -> list[int]:
    """Return the places in the first list of a longest common subsequence."""
    table = [[0] * (len(other) + 1) for _ in range(len(one) + 1)]
    for i, word in enumerate(one, 1):
        for j, second in enumerate(other, 1):
            table[i][j] = table[i - 1][j - 1] + 1 if word == second else max(table[i - 1][j], table[i][j - 1])
    places, i, j = list[int](), len(one), len(other)
    while i and j:
        if one[i - 1] == other[j - 1]:
            places, i, j = [i - 1, *places], i - 1, j - 1
        elif table[i][j - 1] > table[i - 1][j]:
            j -= 1
        else:
            i -= 1
    return places


def f_measure(hits: int, right: int, given: int) -> float:
    """Return the harmonic mean of precision and recall."""
    return 2 * hits / (right + given) if hits else 0.0
