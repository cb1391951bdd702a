"""Task, batches and metrics to numbers; train and eval share it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from dlx.core import Batch, Metric, Picture, Task, to_device
from dlx.device import Device
from dlx.failures import optional

MakeMetrics = Callable[[], Sequence[Metric]]
Show = Callable[[Batch, Batch], Mapping[str, Picture]]


@dataclass(frozen=True)
class Evaluation:
    """What an evaluation found."""

    scalars: Mapping[str, float]
    baseline: Mapping[str, float] = field(default_factory=dict)  # what an answer without looking achieves
    higher_is_better: Mapping[str, bool] = field(default_factory=dict)
    metrics: Sequence[Metric] = ()
    shown: Mapping[str, Picture] = field(default_factory=dict)  # drawn by the task from the first batch

    def pictures(self) -> Mapping[str, Picture]:
        """Draw what the metrics have seen."""
        return {name: picture for metric in self.metrics for name, picture in metric.pictures().items()}


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
    loss, weight, answered = 0.0, 0.0, False
    shown: Mapping[str, Picture] = {}
    with evaluating(task, device, seed):
        for number, cpu_batch in enumerate(batches):
            batch = to_device(cpu_batch, device.device)
            with device.autocast():
                prediction = task.predict(batch)
                score = task.score(prediction, batch)
                if show and number == 0:
                    with optional("what the task shows"):
                        shown = show(batch, prediction)
            if score is not None:
                loss, weight = loss + float(score.value) * float(score.weight), weight + float(score.weight)
            for metric in metrics:
                metric.update(prediction, batch)
            if trivial and (answer := task.baseline(batch)) is not None:
                answered = True
                for metric in trivial:
                    metric.update(answer, batch)
        scalars, directions = _compute(metrics)
        baseline = _compute(trivial)[0] if answered else {}
        if with_baseline:
            baseline = {**baseline, **{name: value for metric in metrics for name, value in metric.baseline().items()}}
    if weight:
        scalars, directions = {"loss": loss / weight, **scalars}, {"loss": False, **directions}
    return Evaluation(scalars, baseline, directions, metrics, shown)


def _compute(metrics: Sequence[Metric]) -> tuple[dict[str, float], dict[str, bool]]:
    scalars: dict[str, float] = {}
    directions: dict[str, bool] = {}
    for metric in metrics:
        numbers = metric.compute()
        scalars |= numbers
        directions |= dict.fromkeys(numbers, metric.higher_is_better)
    return scalars, directions
