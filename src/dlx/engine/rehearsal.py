"""What training will do, tried on few samples before the first step: what would fail at an epoch's end fails at once."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from dlx.core import Batch, Schedule, Source, Task, shortened, to_device
from dlx.engine.device import Device
from dlx.engine.evaluator import Evaluation
from dlx.errors import ComponentError, DlxError, nearest

FEW = 4  # samples of a batch up to which its size alone may make training fail

log = logging.getLogger("dlx")


def monitored(validate: Callable[[int], Evaluation], monitor: str | None) -> tuple[str, bool]:
    """Settle which number chooses the best checkpoint and whether more of it is better.

    As few batches of the validation split are evaluated as give the number. Raises ComponentError where there is no such number, or
    where the targets of the whole split leave it undefined.
    """
    asked = 1
    found = validate(asked)
    name = _chosen(found, monitor)
    while math.isnan(found.scalars[name]) and found.batches == asked:
        asked *= 2  # the first batches may hold one class only, and the next ones more
        found = validate(asked)
    if math.isnan(found.scalars[name]):
        _tell_undefined(found, name)
    return name, found.higher_is_better[name]


def _chosen(found: Evaluation, monitor: str | None) -> str:
    for clash in found.given_twice:
        raise clash
    if not found.scalars:
        raise ComponentError("gives no number to choose the best checkpoint by; name a metric", ("metrics",))
    name = monitor or next((n for n in found.scalars if n != "loss"), "loss")
    if name not in found.scalars:
        near = nearest(name, found.scalars)
        hint = f"did you mean '{near[0]}'?" if near else f"there is {', '.join(found.scalars)}"
        raise ComponentError(f"no number '{name}'; {hint}", ("trainer", "monitor"))
    return name


def _tell_undefined(found: Evaluation, name: str) -> None:
    told = f"'{name}', which chooses the best checkpoint, is not defined on the validation split"
    if reason := found.undefined(name):
        remedy = "let another number choose by trainer.monitor, such as loss, or give another validation split"
        raise ComponentError(f"{told}: {reason}; {remedy}", ("metrics", found.givers[name]))
    log.warning("%s before training; where it stays so, training ends at the first evaluation", told)


def raised(
    left: Mapping[str, float], schedules: Mapping[str, Schedule], rates: Mapping[str, Sequence[float]], step: int, total: int
) -> Iterator[str]:
    """Tell of each part whose learning rate goes up because the run was made longer after it was left at `step`.

    `left` holds the schedules' factors of the last step, `rates` the learning rates that they multiply.
    """
    for part, before in left.items() if 0 < step < total else ():
        now = schedules[part].factor(step - 1)
        if now > before * 1.001:  # beyond rounding
            of, pair = f" of the {part}" if part else "", [f"{factor * rates[part][0]:.3g}" for factor in (before, now)]
            yield f"the schedule is stretched to {total:,} steps: the learning rate{of} goes up again, from {' to '.join(pair)}"


def small_batches(task: Task, source: Source, sizes: Iterable[int], device: Device, seed: int) -> None:
    """Refuse batches with fewer samples than the model can be trained on, such as one alone under batch norm.

    `sizes` are those of the batches to come. Raises ComponentError where a batch fails that would not if it were twice as large.
    """
    small = [size for size in sizes if size <= FEW]
    batch: Batch = next(iter(source.evaluate(None, "train"))) if small else {}
    for size in small:
        few = shortened(batch, size)
        reason = untrainable(task, to_device(few, device.device), device, seed)
        twice = _each(few, lambda value: torch.cat([value, value]))
        if reason and not untrainable(task, to_device(twice, device.device), device, seed):
            raise ComponentError(_too_small(size, source, reason), ("data", "batch_size"))


def _too_small(size: int, source: Source, reason: str) -> str:
    samples = f"{size} sample{'s' * (size > 1)}"
    if size == source.batch_sizes[0]:
        return f"a batch of {samples} is too small for this model to train on ({reason}); choose a larger one"
    told = f"the last batch of an epoch has {samples}, too few for this model to train on ({reason})"
    return f"{told}; set drop_last: true, or choose another batch_size"


def _each(batch: Batch, change: Callable[[Tensor], Tensor]) -> Batch:
    return {word: change(value) if isinstance(value, Tensor) else value for word, value in batch.items()}


def untrainable(task: Task, batch: Batch, device: Device, seed: int) -> str:
    """Say why the losses of a batch cannot be computed in training mode; "" where they can."""
    try:
        with trying(task, device, seed), device.autocast():
            values = [loss.value.item() for loss in task.losses(batch)]
    except DlxError:
        raise
    except Exception as error:  # whatever a model or a task raises would end the first such step
        return (str(error) or type(error).__name__).splitlines()[0]
    return next((f"its loss is {value}" for value in values if not math.isfinite(value)), "")


@contextmanager
def trying(task: Task, device: Device, seed: int) -> Iterator[None]:
    """Put a task in training mode with randomness of its own, and leave it as it was, running statistics and all."""
    state, was_training = device.random_state(), task.training
    buffers = [(m, name, b, b.clone()) for m in task.modules() for name, b in m.named_buffers(recurse=False)]
    torch.manual_seed(seed)
    task.train()
    try:
        yield
    finally:
        task.train(was_training)
        device.set_random_state(state)
        for module, name, buffer, kept in buffers:
            setattr(module, name, buffer.copy_(kept))
