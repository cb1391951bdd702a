"""BLEU and chrF, as sacrebleu computes them (extra: text)."""

from __future__ import annotations

import itertools
import math
from typing import Any, Literal

from dlx.core import Batch, Metric
from dlx.errors import ComponentError
from dlx.registry import metrics


class Corpus(Metric):
    """The answers and all right ones, of a whole split."""

    reads = frozenset({"output"})
    name: str
    scorer: Any

    def __init__(self, processor: Any) -> None:
        self.processor = processor
        self.outputs: list[str] = []
        self.references: list[list[str]] = []

    def update(self, prediction: Batch, batch: Batch) -> None:
        self.outputs += [self.processor.detokenize(codes) for codes in prediction["output"].tolist()]
        self.references += batch["reference"]

    def merge(self, other: Metric) -> None:
        assert isinstance(other, Corpus)
        self.outputs += other.outputs
        self.references += other.references

    def compute(self) -> dict[str, float]:
        if not self.outputs:
            return {self.name: math.nan}
        found = {}
        if any(len(references) > 1 for references in self.references):
            found[f"{self.name}_first"] = self.score([references[:1] for references in self.references])
        return {self.name: self.score(self.references), **found}

    def score(self, references: list[list[str]], outputs: list[str] | None = None) -> float:
        """Score answers, the model's unless others are given, against some of the references."""
        # sacrebleu wants as many streams as the most references of a sentence; None fills them up.
        streams = [list(stream) for stream in itertools.zip_longest(*references)]
        return self.scorer.corpus_score(outputs or self.outputs, streams).score

    def signature(self) -> str:
        """Return how the number was computed, in sacrebleu's words, and what a second right answer would score."""
        if not self.outputs:
            return ""
        own = f"{self.name}: {self.scorer.get_signature()}"  # of the last score, which is that of the answers
        several = [references for references in self.references if len(references) > 1]
        if not several:
            return own
        second = self.score([one[:1] for one in several], [one[1] for one in several])
        return f"{own}\n{self.name}: the second right answer of {len(several):,} scores {second:.1f} against the first"


@metrics("bleu")
class BLEU(Corpus):
    """BLEU from 0 to 100 (Papineni et al. 2002) by sacrebleu, against all right answers; `bleu_first` takes the first alone."""

    name = "bleu"

    def __init__(
        self, processor: Any, *, tokenize: Literal["13a", "intl", "char", "zh", "none"] = "13a", lowercase: bool = False
    ) -> None:
        super().__init__(processor)
        self.scorer = library().BLEU(tokenize=tokenize, lowercase=lowercase)


@metrics("chrf")
class ChrF(Corpus):
    """Character n-gram F-score, chrF, from 0 to 100 (Popovic 2015) by sacrebleu; `word_order` 2 is chrF++."""

    name = "chrf"

    def __init__(self, processor: Any, *, word_order: Literal[0, 1, 2] = 0) -> None:
        super().__init__(processor)
        self.scorer = library().CHRF(word_order=word_order)


def library() -> Any:
    """Return sacrebleu's metrics; raises ComponentError where it is not installed."""
    try:
        import sacrebleu.metrics
    except ImportError:
        raise ComponentError("needs the extra 'text': pip install 'dlx[text]'") from None
    return sacrebleu.metrics
