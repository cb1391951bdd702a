"""Going on with texts: the loss against a loop by hand, and continuations that follow from the text alone."""

import itertools

import pytest
import torch
from tests.helpers.examples.models import PAIRS, SMALL
from torch import nn

from dlx import registry
from dlx.errors import ComponentError
from dlx.tasks.text.language_modeling import LanguageModeling
from dlx.tasks.text.search import Decoding
from dlx.testing.common import build

BEGIN, END = 2, 3


class Counting(nn.Module):
    """Goes on counting: behind code n comes n + 1, and END behind the last one; B texts know their last piece only."""

    def __init__(self, pieces=9):
        super().__init__()
        self.pieces, self.scale = pieces, nn.Parameter(torch.tensor(3.0))

    def forward(self, input):
        after = torch.where(input == BEGIN, 4, torch.where(input == self.pieces - 1, END, input + 1))
        return self.scale * nn.functional.one_hot(after.clamp(max=self.pieces - 1), self.pieces).float()

    def begin(self, input, length=None):
        return torch.zeros(len(input), 1)

    def step(self, token, state):
        return self(token[:, None])[:, 0], state

    def select(self, state, rows):
        return state[rows]


class Digits:
    def detokenize(self, codes):
        return " ".join(str(code - 4) for code in codes if code > END)


def task(**choices):
    smoothing = choices.pop("label_smoothing", 0.0)
    return LanguageModeling(Counting(), Digits(), 9, [8], 0, label_smoothing=smoothing, decoding=Decoding(**choices))


def batch(*texts):
    width = max(map(len, texts))
    codes = torch.tensor([[*one, *[0] * (width - len(one))] for one in texts])
    return {"input": codes, "length": torch.tensor([len(one) for one in texts]), "index": torch.arange(len(texts))}


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_the_loss_is_the_mean_over_pieces_and_padding_is_none(smoothing):
    one, two = [BEGIN, 4, 5, END], [BEGIN, 4, 5, 6, 7, 8, END]
    model, total, pieces = Counting(), 0.0, 0
    for text in (one, two):
        for before, after in itertools.pairwise(text):
            scores = model(torch.tensor([[before]]))[0, 0].log_softmax(-1).detach()
            total -= (1 - smoothing) * float(scores[after]) + smoothing * float(scores.mean())
            pieces += 1
    found = task(label_smoothing=smoothing)
    loss = found(batch(one, two))
    assert float(loss.value.detach()) == pytest.approx(total / pieces, rel=1e-6)
    assert int(loss.weight) == pieces == 9
    scored = found.score(found.predict(batch(one, two)), batch(one, two))
    assert float(scored.value.detach()) == pytest.approx(total / pieces, rel=1e-6)


def test_a_text_without_an_end_is_gone_on_with_and_one_with_it_is_begun_anew_from_its_half():
    found = task().predict(batch([BEGIN, 4, 5], [BEGIN], [BEGIN, 4, 4, 4, 4, END], [BEGIN, 7]))["continued"].tolist()
    counted = [BEGIN, 4, 5, 6, 7, 8, END]
    assert [[code for code in one if code >= 0] for one in found] == [
        counted, counted, [BEGIN, 4, 4, *counted[2:]], [BEGIN, 7, 8, END]
    ]  # fmt: skip


@pytest.mark.parametrize("choices", [{}, {"beam_size": 2}, {"sample": True}])
def test_each_text_goes_on_as_it_does_alone(choices):
    texts = [[BEGIN, 4, 5], [BEGIN], [BEGIN, 6], [BEGIN, 7, 8]]
    together = task(**choices).predict(batch(*texts))["continued"].tolist()
    for number, text in enumerate(texts):
        alone = batch(text) | {"index": torch.tensor([number])}
        found = task(**choices).predict(alone)["continued"][0].tolist()
        assert found == together[number][: len(found)]


def test_the_table_shows_beginning_continuation_and_truth():
    given = batch([BEGIN, 4, 5, 6, 7, 8], [BEGIN, 4, 4, 4, END])
    given["length"], given["input"] = torch.tensor([5, 5]), given["input"][:, :5]
    shown = task().show(given, {})["examples"]
    assert list(shown.rows[1]) == ["0", "1 2 3 4", "0 0"]


def test_the_baseline_holds_every_piece_as_likely():
    from dlx.metrics.text.likelihood import Perplexity

    metric, given = Perplexity(), batch([BEGIN, 4, END], [BEGIN, 4, 5, 6, END])
    metric.update(task().baseline(given), given)
    assert metric.compute()["perplexity"] == pytest.approx(9)


def test_a_model_that_answers_is_refused_and_so_is_one_that_only_classifies():
    answering = build(registry.models, "transformer", {**SMALL, "heads": 2}, PAIRS)
    for model in (answering, nn.Linear(3, 3)):
        with pytest.raises(ComponentError, match="wants a model that goes on with texts, such as transformer_decoder"):
            LanguageModeling(model, Digits(), 9, [8], 0, decoding=Decoding())
