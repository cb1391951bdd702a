"""Error rates are jiwer's, and keywords are counted by hand."""

import random

import numpy as np
import pytest
import torch

from dlx.errors import ComponentError
from dlx.metrics.speech.errors import distance
from dlx.metrics.speech.keywords import KeywordErrors
from dlx.registry import metrics

WORDS = ["go", "no", "on", "hello there", "goodbye", "yes"]


class Spoken:
    """Stands in for a processor: codes are the numbers of texts."""

    def __init__(self, texts):
        self.texts = texts

    def normalize(self, text):
        return " ".join(text.lower().split())

    def detokenize(self, codes):
        return self.texts[codes[0]]


@pytest.mark.parametrize("seed", range(3))
def test_error_rates_are_jiwers(seed):
    jiwer = pytest.importorskip("jiwer", reason="jiwer, the reference, is not installed")
    lot = random.Random(seed)
    right, said = ([" ".join(lot.choices(WORDS, k=lot.randint(low, 6))) for _ in range(30)] for low in (1, 0))
    prediction = {"output": torch.arange(30)[:, None]}
    for name, reference in (("wer", jiwer.wer), ("cer", jiwer.cer)):
        metric = metrics.build(name, {}, {"processor": Spoken(said)})
        metric.update(prediction, {"reference": [[text.upper()] for text in right]})
        assert metric.compute()[name] == pytest.approx(reference(right, said))


def test_the_distance_is_that_of_the_textbook():
    def textbook(one, other):
        row = list(range(len(other) + 1))
        for i, x in enumerate(one, 1):
            before, row[0] = row[0], i
            for j, y in enumerate(other, 1):
                before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (x != y))
        return row[-1]

    draw = np.random.default_rng(0)
    for _ in range(200):
        one, other = ("".join(draw.choice(list("abc"), draw.integers(0, 9))) for _ in range(2))
        assert distance(one, other) == textbook(one, other)


def test_what_is_taken_for_a_keyword_and_what_is_missed_are_counted_apart():
    metric = KeywordErrors(["go", "silence", "stop", "unknown"])
    target = torch.tensor([0, 0, 0, 2, 2, 1, 1, 3, 3, 3])
    label = torch.tensor([0, 2, 3, 2, 1, 1, 0, 3, 1, 2])
    metric.update({"label": label}, {"target": target})
    assert metric.compute() == {"false_accept": 2 / 5, "false_reject": 2 / 5, "keyword_confused": 1 / 5}
    assert not metric.undefined()
    with pytest.raises(ComponentError, match="wants a class 'unknown' or 'silence'"):
        KeywordErrors(["go", "stop"])
