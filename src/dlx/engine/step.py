"""One step: losses of a group of micro-batches to gradients, checked, clipped and applied."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from contextlib import nullcontext
from typing import Any

import torch
from torch import Tensor
from torch.nn.utils import clip_grad_norm_
from torch.optim import Optimizer

from dlx.core import Batch, Loss, Task
from dlx.engine.device import Device
from dlx.engine.ema import MovingAverage
from dlx.engine.lean import bare_step, clip_to, clips_at_once, common_norm
from dlx.errors import DlxError

TAKEN = ("loss", "gradient_norm", "lr", "waiting")  # names of the log's own numbers of training
Totals = dict[str, list[float]]  # name -> [sum over the items, number of items]


class NonFiniteError(DlxError):
    """A loss or gradient that is not finite; the parameters are as they were before the update."""


class Stepper:
    """Descends the losses of a task, each by the optimizer of its part, and takes the parameters into their average."""

    def __init__(
        self,
        task: Task,
        optimizers: Mapping[str, Optimizer],
        device: Device,
        clip_norm: float | None = None,
        average: MovingAverage | None = None,
    ) -> None:
        self.task, self.optimizers, self.device, self.clip_norm, self.average = task, optimizers, device, clip_norm, average
        self.parameters = {part: [p for g in o.param_groups for p in g["params"]] for part, o in optimizers.items()}
        self.found_inf = torch.zeros(1, device=device.device)  # becomes 1 where a gradient is not finite
        self.one = torch.ones(1, device=device.device)
        self.clips_at_once = {part: clips_at_once(parameters) for part, parameters in self.parameters.items()}
        self.steps = {part: bare_step(optimizer) for part, optimizer in optimizers.items()}
        # Forward passes run in this one; made once, since to enter it costs less than to make it.
        self.forward_context = nullcontext() if device.precision == "float32" else device.autocast()
        self.compiles: bool | None = None  # whether steps are compiled, as it was settled when the run began
        self.feedback: list[tuple[Tensor, Tensor]] = []  # of the last step: the samples' numbers, and what is said of each
        self.part_of: dict[str, str] = {}  # of each further number of a loss, the part whose loss gives it

    def __call__(self, group: Sequence[Batch], totals: Totals) -> None:
        """Step once for every loss that the batches yield; the k-th losses of all batches are one sum."""
        streams = [self.task.losses(batch) for batch in group]
        self.feedback = []
        while part := self.backward(streams, group, totals):
            self.update(part[0], part[1], group, totals)
        if self.average:
            self.average.update()

    def backward(self, streams: list[Iterator[Loss]], group: Sequence[Batch], totals: Totals) -> tuple[str, float] | None:
        """Take the next loss of every batch backward: the part it concerns and the weight to divide by."""
        part, weight, ended = None, 0.0, 0
        for stream, batch in zip(streams, group, strict=True):
            with self.forward_context:
                loss = next(stream, None)
            if loss is None:
                ended += 1
                continue
            if part is None:
                part = loss.part
                parameters = self.clear_gradients(part)
            elif part != loss.part:
                raise DlxError(f"batches of one step yield losses of different parts: '{part}' and '{loss.part}'")
            self.record(loss, group, totals)
            if loss.feedback is not None:
                self.feedback.append((batch["index"].cpu(), loss.feedback.detach().cpu()))
            # Of one batch the mean is taken as it is; of several, each weighs by its items and the sum is divided once.
            value: Any = loss.value if len(streams) == 1 else loss.value * loss.weight
            value.backward(inputs=parameters if part else None)
            weight += float(loss.weight)
        if ended not in (0, len(streams)):
            raise DlxError("batches of one step yield different numbers of losses; a task must yield as many for each")
        return None if part is None else (part, weight if len(streams) > 1 else 1.0)

    def clear_gradients(self, part: str) -> list[Tensor]:
        """Clear the gradients of a part, and return its parameters."""
        if part not in self.parameters:
            raise DlxError(f"the task descends the part '{part}', but the optimizers have {list(self.parameters)}")
        for parameter in self.parameters[part]:
            parameter.grad = None
        return self.parameters[part]

    def update(self, part: str, weight: float, group: Sequence[Batch], totals: Totals) -> None:
        """Divide, check and clip a part's gradients, and step its optimizer."""
        gradients = [p.grad for p in self.parameters[part] if p.grad is not None]
        if not gradients:
            raise DlxError(f"the loss{f' of {part}' if part else ''} reaches none of the parameters it should train")
        if self.clip_norm and weight == 1 and self.clips_at_once[part]:
            norm = common_norm(gradients)
            if not math.isfinite(found := norm.item()):  # a finite norm has no other gradients than finite ones
                self.divide(part, gradients, weight, group)
            clip_to(gradients, norm, found, self.clip_norm)
        else:
            self.divide(part, gradients, weight, group)
            found = clip_grad_norm_(self.parameters[part], self.clip_norm).item() if self.clip_norm else 0.0
        if self.clip_norm:
            add(totals, of_part("gradient_norm", part), found, 1.0)
        self.steps[part]()

    def divide(self, part: str, gradients: list[Tensor], weight: float, group: Sequence[Batch]) -> None:
        """Divide a part's gradients by a weight; raises NonFiniteError.

        The kernel behind torch's GradScaler divides every gradient and finds the non-finite ones in one pass.
        """
        self.found_inf.zero_()
        torch._amp_foreach_non_finite_check_and_unscale_(
            gradients, self.found_inf, self.one if weight == 1 else self.one / weight
        )
        if self.found_inf.item():
            raise NonFiniteError(f"the gradient of {named(part)} is not finite{samples(group)}")

    def record(self, loss: Loss, group: Sequence[Batch], totals: Totals) -> None:
        """Add a loss and its further numbers to the totals; raises NonFiniteError."""
        self.count(loss.part, loss.value.item(), float(loss.weight), loss.scalars, group, totals)

    def count(
        self, part: str, value: float, weight: float, scalars: Mapping[str, Any], group: Sequence[Batch], totals: Totals
    ) -> None:
        """Add a loss's numbers to the totals; raises NonFiniteError."""
        if not math.isfinite(value):
            raise NonFiniteError(f"{named(part)} is {value}{samples(group)}")
        add(totals, of_part("loss", part), value, weight)
        for name, number in scalars.items():
            self.refuse_taken(name, part)
            add(totals, name, float(number), weight)

    def refuse_taken(self, name: str, part: str) -> None:
        """Raise DlxError where a loss's further number has the name of another one: both would be added up as one."""
        if self.part_of.setdefault(name, part) != part:
            raise DlxError(f"the losses of '{self.part_of[name]}' and '{part}' both give a number '{name}'; rename one")
        if name.partition("/")[0] in TAKEN:
            raise DlxError(f"the task gives a number '{name}' beside its loss, a name that the log has for its own; rename it")


def add(totals: Totals, name: str, value: float, weight: float) -> None:
    """Add a number, a mean over `weight` items, to the totals."""
    total = totals.setdefault(name, [0.0, 0.0])
    total[0] += value * weight
    total[1] += weight


def of_part(name: str, part: str) -> str:
    """Name a part's number for the log."""
    return f"{name}/{part}" if part else name


def named(part: str) -> str:
    """Name the loss of a part."""
    return f"the loss of the {part}" if part else "the loss"


def samples(group: Sequence[Batch]) -> str:
    """Tell a step's samples by their numbers, for the end of a message; "" where they have none."""
    numbers = [int(i) for batch in group if "index" in batch for i in batch["index"]]
    return f"; the step's samples in the training split: {', '.join(map(str, numbers))}" if numbers else ""
