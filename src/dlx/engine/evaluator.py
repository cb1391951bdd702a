"""Task, batches and metrics to numbers; train and eval share it."""

from __future__ import annotations

import itertools
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from dlx.core import Batch, Loss, Metric, Picture, Shown, Task, to_device
from dlx.engine.device import Device
from dlx.errors import ComponentError
from dlx.storage.failures import optional

MakeMetrics = Callable[[], Sequence[Metric]]
Show = Callable[[Batch, Batch], Mapping[str, Shown]]


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found."""

    scalars: Mapping[str, float]
    baseline: Mapping[str, float] = field(default_factory=dict)  # what an answer without looking achieves
    higher_is_better: Mapping[str, bool] = field(default_factory=dict)
    metrics: Sequence[Metric] = ()
    givers: Mapping[str, int] = field(default_factory=dict)  # of each number of a metric, which of the metrics gives it
    given_twice: Sequence[ComponentError] = ()  # numbers that two metrics give, so far alike
    shown: Mapping[str, Shown] = field(default_factory=dict)  # drawn or written by the task from the first batch
    batches: int = 0

    def undefined(self, name: str) -> str:
        """Say why a number is NaN whatever the model answers; "" where it need not stay so."""
        return self.metrics[self.givers[name]].undefined() if name in self.givers else ""

    def pictures(self) -> Mapping[str, Picture]:
        """Draw what the metrics have seen; a second picture of the same name is told apart by its number."""
        drawn: dict[str, Picture] = {}
        for metric in self.metrics:
            for name, picture in metric.pictures().items():
                drawn[_free(name, drawn)] = picture
        return drawn


@contextmanager
def evaluating(task: Task, device: Device, seed: int) -> Iterator[None]:
    """Put a task in evaluation mode with randomness of its own, and leave training's as it was."""
    state = device.random_state()
    was_training = task.training
    torch.manual_seed(seed)
    task.eval()
    try:
        with torch.no_grad():
            yield
    finally:
        task.train(was_training)
        device.set_random_state(state)


def evaluate(
    task: Task,
    batches: Iterable[Batch],
    make_metrics: MakeMetrics,
    device: Device,
    seed: int,
    show: Show | None = None,
    with_baseline: bool = False,
) -> Evaluation:
    """Predict every batch and compute the loss, the metrics, and on request the first batch's pictures and the baseline."""
    metrics, trivial = make_metrics(), make_metrics() if with_baseline else ()
    losses, answered, number = Means(), False, 0
    shown: Mapping[str, Shown] = {}
    with evaluating(task, device, seed):
        for number, cpu_batch in enumerate(batches, 1):
            batch = to_device(cpu_batch, device.device)
            with device.autocast():
                prediction = task.predict(batch)
                score = task.score(prediction, batch)
                if show and number == 1:
                    with optional("what the task shows"):
                        shown = show(batch, prediction)
            if score is not None:
                losses.add(score)
            for metric in metrics:
                metric.update(prediction, batch)
            if trivial and (answer := task.baseline(batch)) is not None:
                answered = True
                for metric in trivial:
                    metric.update(answer, batch)
        own = losses.compute()
        numbers = Numbers(metrics, own)
        baseline = Numbers(trivial).scalars if answered else {}
        if with_baseline:
            baseline = {**baseline, **{name: value for metric in metrics for name, value in metric.baseline().items()}}
    directions = dict.fromkeys(own, False) | {n: metrics[i].higher_is_better for n, i in numbers.givers.items()}
    return Evaluation(numbers.scalars, baseline, directions, metrics, numbers.givers, numbers.given_twice, shown, number)


class Means:
    """The loss of a split and the further numbers that its scores carry, each a mean over the scores' weights."""

    def __init__(self) -> None:
        self.sums: dict[str, float] = {}
        self.weights: dict[str, float] = {}

    def add(self, score: Loss) -> None:
        """Count the score of a batch."""
        weight = float(score.weight)
        for name, value in {"loss": score.value, **score.scalars}.items():
            self.sums[name] = self.sums.get(name, 0.0) + float(value) * weight
            self.weights[name] = self.weights.get(name, 0.0) + weight

    def compute(self) -> dict[str, float]:
        """Compute the means of all that weighs anything."""
        return {name: total / self.weights[name] for name, total in self.sums.items() if self.weights[name]}


class Numbers:
    """What metrics compute, in one mapping: no number may hide another of its name.

    `own` are the task's. Raises ComponentError where two metrics give different numbers of one name; equal ones are noted, since they
    may be one number by nature, such as a class's F1 within a report.
    """

    def __init__(self, metrics: Sequence[Metric], own: Mapping[str, float] | None = None) -> None:
        self.own = own or {}
        self.scalars: dict[str, float] = {**self.own}
        self.givers: dict[str, int] = {}
        self.given_twice: list[ComponentError] = []
        for place, metric in enumerate(metrics):
            for name, value in metric.compute().items():
                self._refuse_hidden(name, value, place)
                self.givers.setdefault(name, place)
                self.scalars[name] = value

    def _refuse_hidden(self, name: str, value: float, place: int) -> None:
        gives, remedy = f"gives the number '{name}', which", "one would hide the other, so leave one out"
        if name in self.own:
            raise ComponentError(f"{gives} is the task's own; {remedy}", ("metrics", place))
        if name not in self.givers:
            return
        clash = ComponentError(f"{gives} metrics[{self.givers[name]}] gives too; {remedy}", ("metrics", place))
        before = self.scalars[name]
        if not (before == value or (math.isnan(before) and math.isnan(value))):
            raise clash
        self.given_twice.append(clash)


def _free(name: str, taken: Mapping[str, Picture]) -> str:
    numbered = (f"{name}_{number}" for number in itertools.count(2))
    return name if name not in taken else next(other for other in numbered if other not in taken)
