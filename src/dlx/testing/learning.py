"""What models and tasks promise."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor, nn

from dlx import registry
from dlx.core import Task
from dlx.testing.common import build, same, taken

TOLERANCE = 1e-5


def check_model(
    name: str,
    facts: Mapping[str, Any],
    batch: Mapping[str, Any],
    choices: Mapping[str, Any] | None = None,
    *,
    output_shape: tuple[int, ...] | None = None,
    trained: bool = True,
    on_meta: bool = False,
) -> None:
    """Check a registered model: what it answers to a batch of its words, and that training it can work.

    The answer has one finite row a sample, of `output_shape` where that is given; it is the same whatever else is in the
    batch and however often the model is built of one seed; the state dict holds all there is to a model; gradients reach
    every trainable parameter, unless the model is not `trained` by its forward alone, as a GAN is not. `on_meta` checks only
    names and shapes, for models that are too large to be filled.
    """
    if on_meta:
        with torch.device("meta"):
            model = build(registry.models, name, choices, facts).eval()
            _shape(name, _answer(model, batch), batch, output_shape)
        return
    torch.manual_seed(0)
    model = build(registry.models, name, choices, facts)
    torch.manual_seed(0)
    again = build(registry.models, name, choices, facts)
    assert same(model.state_dict(), again.state_dict()), (
        f"{name}: two models of one seed differ; draw by torch's generator only"
    )
    model.eval()
    whole = _answer(model, batch)
    _shape(name, whole, batch, output_shape)
    _alone(name, model, batch, whole)
    if trained:
        _gradients(name, model, batch)
    torch.manual_seed(1)
    other = build(registry.models, name, choices, facts)
    other.load_state_dict(model.state_dict())
    assert same(_answer(other.eval(), batch), whole, TOLERANCE), f"{name}: its state dict does not hold all that it answers by"


def _answer(model: nn.Module, batch: Mapping[str, Any]) -> Tensor:
    words = {word: batch[word] for word in Task(model).words if word in batch}
    with torch.no_grad():
        given = model(**words)
    return next(_tensors(given))


def _tensors(given: Any) -> Iterator[Tensor]:
    """Yield what a model gives: a tensor, or those in a mapping or a sequence, however nested."""
    if isinstance(given, Tensor):
        yield given
    for value in given.values() if isinstance(given, Mapping) else given if isinstance(given, (list, tuple)) else ():
        yield from _tensors(value)


def _size(batch: Mapping[str, Any]) -> int:
    return next(len(value) for value in batch.values() if isinstance(value, Tensor))


def _shape(name: str, answer: Tensor, batch: Mapping[str, Any], wanted: tuple[int, ...] | None) -> None:
    assert len(answer) == _size(batch), f"{name}: gives {len(answer)} rows to {_size(batch)} samples"
    if wanted is not None:
        assert answer.shape[1:] == wanted, f"{name}: gives {tuple(answer.shape[1:])} a sample, not {wanted}"
    assert answer.is_meta or answer.isfinite().all(), f"{name}: answers with numbers that are not finite"


def _alone(name: str, model: nn.Module, batch: Mapping[str, Any], whole: Tensor) -> None:
    for row in range(_size(batch)):
        alone = _answer(model, taken(batch, slice(row, row + 1)))[0]
        within = whole[row][tuple(slice(0, size) for size in alone.shape)]
        assert same(alone, within, TOLERANCE * 10), (
            f"{name}: sample {row} alone gets another answer than in its batch, in evaluation mode: what mixes samples, or "
            "reads padding, must not"
        )


def _gradients(name: str, model: nn.Module, batch: Mapping[str, Any]) -> None:
    model.zero_grad()
    given = model(**{word: batch[word] for word in Task(model).words if word in batch})
    torch.stack([(value.float() * torch.randn_like(value.float())).sum() for value in _tensors(given)]).sum().backward()
    untouched = [key for key, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert not untouched, f"{name}: no gradient reaches {', '.join(untouched[:3])}; what is not trained is frozen or a buffer"
    broken = [key for key, p in model.named_parameters() if p.grad is not None and not p.grad.isfinite().all()]
    assert not broken, f"{name}: the gradient of {', '.join(broken[:3])} is not finite"
    model.zero_grad()


def check_task(
    name: str,
    facts: Mapping[str, Any],
    model: nn.Module,
    batch: Mapping[str, Any],
    choices: Mapping[str, Any] | None = None,
) -> None:
    """Check a registered task with a model and a batch that fit it.

    Losses are finite scalars with a weight, and together reach every trainable parameter; predictions and the baseline have
    the declared words, a row a sample; the score of a prediction is finite; the metrics that the task names read what it
    predicts; all that it learns is in its state dict.
    """
    task: Task = build(registry.tasks, name, choices, {**facts, "model": model})
    _metrics(name, task)
    task.verify(batch)
    _losses(name, task, batch)
    _predictions(name, task, batch)
    again = build(registry.tasks, name, choices, {**facts, "model": model})
    again.load_state_dict(task.state_dict())


def _metrics(name: str, task: Task) -> None:
    assert task.predicts, f"{name}: says by no word in `predicts` what metrics may read"
    for metric in (*task.default_metrics, *task.eval_metrics):
        assert metric in registry.metrics, f"{name}: names a metric that is not registered, '{metric}'"
        missing = registry.metrics.get(metric).reads - task.predicts
        assert not missing, (
            f"{name}: names the metric '{metric}', which reads '{sorted(missing)[0]}': predict it, or leave it out"
        )


def _losses(name: str, task: Task, batch: Mapping[str, Any]) -> None:
    reached: set[str] = set()
    task.train()
    for loss in task.losses(batch):
        assert loss.value.ndim == 0, f"{name}: a loss of shape {tuple(loss.value.shape)}; it is one number"
        assert loss.value.isfinite(), f"{name}: a loss is {loss.value.item()}"
        assert float(loss.weight) > 0, f"{name}: a loss weighs {float(loss.weight)}"
        assert not loss.part or loss.part in task.parts, (
            f"{name}: a loss of the part '{loss.part}', which `parts` does not name"
        )
        task.zero_grad()
        trained = task.model.get_submodule(loss.part) if loss.part else task.model
        loss.value.backward(inputs=[p for p in trained.parameters() if p.requires_grad] if loss.part else None)
        reached |= {key for key, p in task.model.named_parameters() if p.grad is not None}
        assert all(p.grad is None or p.grad.isfinite().all() for p in task.parameters()), f"{name}: a gradient is not finite"
    missing = {key for key, p in task.model.named_parameters() if p.requires_grad} - reached
    assert not missing, f"{name}: no loss reaches {', '.join(sorted(missing)[:3])}"
    task.zero_grad()


def _predictions(name: str, task: Task, batch: Mapping[str, Any]) -> None:
    task.eval()
    with torch.no_grad():
        prediction, baseline = task.predict(batch), task.baseline(batch)
        score = task.score(prediction, batch)
    missing = task.predicts - set(prediction)
    assert not missing, f"{name}: `predicts` names '{sorted(missing)[0]}', and predict gives no such word"
    for word in task.predicts:
        assert len(prediction[word]) == _size(batch), f"{name}: '{word}' has {len(prediction[word])} rows"
        if baseline is not None and word in baseline:
            assert len(baseline[word]) == _size(batch), f"{name}: the baseline's '{word}' has {len(baseline[word])} rows"
    assert score is None or score.value.isfinite(), f"{name}: the score of a prediction is not finite"
