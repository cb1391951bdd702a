"""A training step as one function of tensors: losses, gradients, check, clipping, update and average."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn
from torch.func import functional_call
from torch.optim import Optimizer

from dlx.core import Batch, Loss, Task
from dlx.engine.compiling.rules import Group, Rule
from dlx.engine.device import Device
from dlx.engine.ema import MovingAverage

Fields = list[tuple[str, float | None]]  # of a loss the names of its numbers, and those that are the same at every step


class NotCompilableError(Exception):
    """A step cannot be compiled, and why."""


class Trained(NamedTuple):
    """What one optimizer trains: every tensor's name with its group; what it keeps of each, and the numbers of its steps."""

    optimizer: Optimizer
    rule: Rule
    names: Sequence[tuple[str, Group]]
    kept: list[list[Tensor]]
    counts: list[Tensor]

    def numbers(self) -> list[list[float]]:
        """Compute the rule's numbers of the coming step, for every group."""
        return self.numbers_of(int(self.counts[0]) + 1 if self.counts else 1)

    def numbers_of(self, step: int) -> list[list[float]]:
        """Compute the rule's numbers of a step, for every group."""
        return [self.rule.numbers(group, step) for group in self.optimizer.param_groups]

    def placed(self, given: Iterator[Tensor]) -> Trained:
        """Return the same with other tensors in place of what is kept."""
        return self._replace(
            kept=[[next(given) for _ in some] for some in self.kept], counts=[next(given) for _ in self.counts]
        )


class Found(NamedTuple):
    """What the k-th losses of all batches give."""

    part: str
    values: list[Tensor]
    told: list[Tensor]
    gradients: list[Tensor]  # of the mean over all batches


class _Within(nn.Module):
    """Calls a function while the tensors of a task are others."""

    def __init__(self, task: Task) -> None:
        super().__init__()
        self.task = task

    def forward(self, function: Callable[[], Tensor]) -> Tensor:
        return function()


class WholeStep:
    """One step as a function of all tensors that it reads, into which it writes what it changes.

    Its arguments are `held`, then the numbers of `numbers`, then the tensors of the batches. It returns, as one vector of
    float64, for every part that it descends: the numbers of the losses (`fields` tells their names), whether all is finite so
    far (else nothing is written), and the norm of the gradients before clipping.
    """

    def __init__(
        self,
        task: Task,
        optimizers: Mapping[str, tuple[Optimizer, Rule]],
        device: Device,
        clip_norm: float | None,
        average: MovingAverage | None,
        words: Sequence[Sequence[str]],
    ) -> None:
        self.task, self.device, self.clip_norm, self.average, self.words = task, device, clip_norm, average, words
        self.tensors: dict[str, Tensor] = {**dict(task.named_parameters()), **dict(task.named_buffers())}
        self.within = _Within(task)
        self.parts = {part: self.trained(optimizer, rule) for part, (optimizer, rule) in optimizers.items()}
        self.averaged = [name for own in self.parts.values() for name, _ in own.names] if average else []
        self.fields: list[tuple[str, list[Fields]]] = []  # of every part in the order of descent, for every batch

    def trained(self, optimizer: Optimizer, rule: Rule) -> Trained:
        """Look up what an optimizer trains."""
        name_of = {parameter: name for name, parameter in self.task.named_parameters()}
        names = [(name_of[p], group) for group in optimizer.param_groups for p in group["params"] if p in name_of]
        kept = [[optimizer.state[self.tensors[name]][k] for k in rule.kept(group)] for name, group in names]
        counts = [state["step"] for state in optimizer.state.values() if "step" in state]
        return Trained(optimizer, rule, names, kept, counts)

    def held(self) -> list[Tensor]:
        """List the tensors that stay from step to step."""
        kept = [tensor for own in self.parts.values() for some in (*own.kept, own.counts) for tensor in some]
        averages = [self.average.average[name] for name in self.averaged] if self.average else []
        return [*(tensor.detach() for tensor in self.tensors.values()), *kept, *averages]

    def numbers(self) -> list[float]:
        """Compute the coming step's numbers: those of the rules for every group, and the share of the average that is new."""
        found = [number for own in self.parts.values() for some in own.numbers() for number in some]
        return [*found, 1 - self.average.next_decay()] if self.average else found

    def __call__(self, *given: Tensor) -> Tensor:
        values = iter(given)
        tensors = {name: next(values) for name in self.tensors}
        parts = {part: own.placed(values) for part, own in self.parts.items()}
        averages = {name: next(values) for name in self.averaged}
        numbers = next(values).unbind()
        batches = [{word: next(values) for word in words} for words in self.words]
        leaves = {name: tensors[name].detach().requires_grad_() for own in parts.values() for name, _ in own.names}

        def descended() -> Tensor:
            finite, told = self.descend(parts, tensors, leaves, iter(numbers), batches)
            for name, average in averages.items():
                average.copy_(torch.where(finite, torch.lerp(average, tensors[name], numbers[-1]), average))
            return torch.stack(told)

        placed = {f"task.{name}": tensor for name, tensor in {**tensors, **leaves}.items()}
        answer: Tensor = functional_call(self.within, placed, (descended,))
        return answer

    def descend(
        self,
        parts: Mapping[str, Trained],
        tensors: Mapping[str, Tensor],
        leaves: Mapping[str, Tensor],
        numbers: Iterator[Tensor],
        batches: Sequence[Batch],
    ) -> tuple[Tensor, list[Tensor]]:
        """Descend loss after loss, each with what the one before it has written; return whether all is finite, and the numbers."""
        of_group = {part: [[next(numbers) for _ in some] for some in own.numbers_of(1)] for part, own in parts.items()}
        finite, told = torch.tensor(True, device=self.device.device), list[Tensor]()
        self.fields = []
        streams = [self.task.losses(batch) for batch in batches]
        while found := self.differentiated(streams, leaves):
            zeros = torch.stack([(one * 0).sum().double() for one in (*found.gradients, *found.values)])
            finite = finite & (zeros.sum() == 0)
            norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(one) for one in found.gradients]))
            share = torch.clamp(self.clip_norm / (norm + 1e-6), max=1.0) if self.clip_norm else None
            gradients = found.gradients if share is None else [one * share for one in found.gradients]
            update(parts[found.part], of_group[found.part], tensors, gradients, finite)
            told += [*found.told, finite.double(), norm.double()]
        return finite, told

    def differentiated(self, streams: Sequence[Iterator[Loss]], leaves: Mapping[str, Tensor]) -> Found | None:
        """Take the next loss of every batch, and the gradients of what it trains; None where there is none."""
        values, told, fields, weight = list[Tensor](), list[Tensor](), list[Fields](), 0.0
        parts, sums = list[str](), list[Tensor]()
        for stream in streams:
            with torch.enable_grad():
                with self.device.autocast():
                    loss: Any = next(stream, None)
                if loss is None:
                    continue
                found = self.gradients(loss, loss.value if len(streams) == 1 else loss.value * loss.weight, leaves)
            sums = [a + b for a, b in zip(sums, found, strict=True)] if sums else found
            weight = weight + loss.weight
            values.append(loss.value.detach())
            fields.append([(name, None if isinstance(one, Tensor) else float(one)) for name, one in _numbers(loss)])
            told += [one.detach().double().reshape(()) for _, one in _numbers(loss) if isinstance(one, Tensor)]
            parts.append(loss.part)
        if not parts:
            return None
        if len(parts) < len(streams) or len(set(parts)) > 1:
            raise NotCompilableError("its batches yield different losses")
        self.fields.append((parts[0], fields))
        return Found(parts[0], values, told, sums if len(streams) == 1 else [gradient / weight for gradient in sums])

    def gradients(self, loss: Loss, value: Tensor, leaves: Mapping[str, Tensor]) -> list[Tensor]:
        """Compute the gradients of a value by what the loss trains."""
        if loss.feedback is not None:
            raise NotCompilableError("its loss tells the source of its samples")
        names = [name for name, _ in self.parts[loss.part].names]
        found = torch.autograd.grad(value, [leaves[name] for name in names], allow_unused=True)
        if unreached := [name for name, gradient in zip(names, found, strict=True) if gradient is None]:
            raise NotCompilableError(f"its loss does not reach the parameter '{unreached[0]}'")
        return list(found)


def update(
    own: Trained,
    numbers: Sequence[Sequence[Tensor]],
    tensors: Mapping[str, Tensor],
    gradients: Sequence[Tensor],
    finite: Tensor,
) -> None:
    """Write the new parameters, and what the optimizer keeps of each; `numbers` are those of every group."""
    of_group = {id(group): some for group, some in zip(own.optimizer.param_groups, numbers, strict=True)}
    for (name, group), gradient, state in zip(own.names, gradients, own.kept, strict=True):
        old = tensors[name]
        new, states = own.rule.update(group, old, gradient.to(old.dtype), state, of_group[id(group)])
        for place, value in zip([old, *state], [new, *states], strict=True):
            place.copy_(torch.where(finite, value, place))
    for count in own.counts:
        count.copy_(count + finite)


def _numbers(loss: Loss) -> list[tuple[str, Any]]:
    return [("value", loss.value), ("weight", loss.weight), *loss.scalars.items()]
