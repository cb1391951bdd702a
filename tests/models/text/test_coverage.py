"""Coverage: what an attention has looked at, what looking there again costs, and that the task adds it to the loss."""

import math

import pytest
import torch
from tests.helpers.examples.models import PAIRS, table_batch

from dlx import registry
from dlx.assembly.experiment import prepare
from dlx.config import spec
from dlx.core import Penalized
from dlx.errors import UsageError
from dlx.models.text.coverage import Coverage
from dlx.testing.common import build

ONE = math.log(3)
CONFIG = """
task: {name: summarization, label_smoothing: 0.1}
data: {name: dates, tokenizer: characters, batch_size: 4}
model: {name: pointer_generator, size: 8, dropout: 0, coverage: 0.5}
steps: 2
"""


def test_coverage_by_hand():
    coverage = Coverage(2)
    with torch.no_grad():
        coverage.gain.weight.copy_(torch.tensor([[-2 * ONE, 9.0]]))
        coverage.gain.bias.zero_()
    query = torch.tensor([[[1.0, 0.0]] * 3])
    scores = torch.tensor([[[ONE, 0.0, 5.0], [0.0, 0.0, 5.0], [ONE, 0.0, 5.0]]])
    seen = coverage(query, scores, torch.tensor([[True, True, False]]), torch.zeros(1, 3))
    # 3 : 1 at first; then the scores are -1.5 and -.5 ln 3, so 1 : 3; then both steps are covered alike.
    assert torch.allclose(seen.weights, torch.tensor([[[0.75, 0.25, 0.0], [0.25, 0.75, 0.0], [0.75, 0.25, 0.0]]]))
    assert torch.allclose(seen.repeated, torch.tensor([[0.0, 0.5, 1.0]]))
    assert torch.allclose(seen.covered, torch.tensor([[1.75, 1.25, 0.0]]))


def made(**choices):
    torch.manual_seed(0)
    return build(registry.models, "pointer_generator", {"size": 8, "dropout": 0.0, **choices}, PAIRS)


def test_the_penalty_is_what_is_looked_at_again_times_its_weight():
    batch = table_batch(PAIRS)
    once, twice = (made(coverage=weight) for weight in (1.0, 2.0))
    assert isinstance(once, Penalized)
    logits, penalty = once.penalized(**batch)
    assert torch.equal(logits, once(**batch))
    assert torch.equal(twice.penalized(**batch)[1], 2 * penalty)
    # A source of one piece is looked at whole in every step; nothing has been before the first.
    assert torch.allclose(penalty[1], torch.tensor([0.0, 1.0, 1.0, 1.0, 1.0]))


def test_without_coverage_nothing_is_added_and_nothing_else_changes():
    assert made().penalized(**table_batch(PAIRS))[1] is None
    assert not [key for key in made().state_dict() if "coverage" in key]
    before = made(coverage=1.0)
    with torch.no_grad():
        before.coverage.gain.weight.zero_()
        before.coverage.gain.bias.zero_()
    batch = table_batch(PAIRS)
    state = before.begin(batch["input"], batch["length"])
    blind, covering = made(), before.read(batch["previous"], state)
    blind.load_state_dict(before.state_dict(), strict=False)
    blind.output.look = None  # one attention for both, as there
    assert torch.allclose(blind(**batch), covering[0], atol=1e-6)


@pytest.fixture(scope="module")
def experiment():
    return prepare(spec.parse(CONFIG, "x.yaml"))


def test_the_loss_of_training_and_of_evaluation_has_the_penalty(experiment):
    task, batch = experiment.task, next(iter(experiment.source.evaluate(None, "val")))
    with torch.no_grad():
        whole, scored = task.forward(batch), task.score(task.predict(batch), batch)
    assert float(whole.value) == pytest.approx(float(scored.value), rel=1e-5)
    task.penalized = False
    with torch.no_grad():
        plain = task.forward(batch)
    task.penalized = True
    inside = batch["target"][:, 1:] >= 0
    words = {"input": batch["input"], "length": batch["length"], "previous": batch["target"][:, :-1].clamp_min(0)}
    with torch.no_grad():
        penalty = float((task.model.penalized(**words)[1] * inside).sum() / inside.sum())
    assert penalty > 0
    assert float(whole.value - plain.value) == pytest.approx(penalty, rel=1e-4)
    assert float(whole.scalars["penalty"]) == pytest.approx(penalty, rel=1e-6)


def test_descending_it_makes_the_attention_look_elsewhere():
    model, batch = made(coverage=1.0), table_batch(PAIRS)
    batch = {word: value[[0, 2]] for word, value in batch.items()}
    descent = torch.optim.Adam(model.parameters(), 0.02)
    first = None
    for _ in range(60):
        penalty = model.penalized(**batch)[1].mean()
        first = first or penalty.item()
        descent.zero_grad()
        penalty.backward()
        descent.step()
    assert penalty.item() < 0.5 * first


def test_a_negative_weight_is_refused():
    with pytest.raises(UsageError, match=r"coverage: "):
        prepare(spec.parse(CONFIG.replace("coverage: 0.5", "coverage: -1"), "x.yaml"))
