"""A training step as one function of tensors: losses, gradients, check, clipping, update and average."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.func import functional_call
from torch.optim import Optimizer

from dlx.core import Batch, Loss, Task
from dlx.engine.compiling.rules import Rule
from dlx.engine.device import Device
from dlx.engine.ema import MovingAverage

Fields = list[tuple[str, float | None]]  # of a loss the names of its numbers, and those that are the same at every step


class NotCompilableError(Exception):
    """A step cannot be compiled, and why."""


class WholeStep:
    """One step as a function of all tensors that it reads, into which it writes what it changes.

    Its arguments are `held`, then the numbers of `numbers`, then the tensors of the batches. It returns, as one vector of
    float64, the numbers of every loss (`fields` tells their names), whether all is finite (else nothing is written), and the
    norm of the gradients before clipping.
    """

    def __init__(
        self,
        task: Task,
        optimizer: Optimizer,
        rule: Rule,
        device: Device,
        clip_norm: float | None,
        average: MovingAverage | None,
        words: Sequence[Sequence[str]],
    ) -> None:
        self.task, self.optimizer, self.rule, self.device = task, optimizer, rule, device
        self.clip_norm, self.average, self.words = clip_norm, average, words
        self.tensors: dict[str, Tensor] = {**dict(task.named_parameters()), **dict(task.named_buffers())}
        name_of = {parameter: name for name, parameter in task.named_parameters()}
        groups = optimizer.param_groups
        self.trained = [(name_of[p], group) for group in groups for p in group["params"] if p in name_of]
        self.kept = [[optimizer.state[self.tensors[name]][k] for k in rule.kept(group)] for name, group in self.trained]
        self.counts = [state["step"] for state in optimizer.state.values() if "step" in state]
        self.fields: list[Fields] = []
        self.values: list[Tensor] = []  # the losses, while the function runs

    def held(self) -> list[Tensor]:
        """List the tensors that stay from step to step."""
        averages = [self.average.average[name] for name, _ in self.trained] if self.average else []
        kept = [tensor for some in self.kept for tensor in some]
        return [*(tensor.detach() for tensor in self.tensors.values()), *kept, *self.counts, *averages]

    def numbers(self) -> list[float]:
        """Compute the coming step's numbers: those of the rule for every group, and the share of the average that is new."""
        step = int(self.counts[0]) + 1 if self.counts else 1
        found = [number for group in self.optimizer.param_groups for number in self.rule.numbers(group, step)]
        return [*found, 1 - self.average.next_decay()] if self.average else found

    def __call__(self, *given: Tensor) -> Tensor:
        values = iter(given)
        tensors = {name: next(values) for name in self.tensors}
        kept = [[next(values) for _ in some] for some in self.kept]
        counts = [next(values) for _ in self.counts]
        averages = [next(values) for _ in self.trained] if self.average else []
        numbers = next(values).unbind()
        batches = [{word: next(values) for word in words} for words in self.words]
        told, gradients = self.descended(tensors, batches)
        finite = torch.stack([(one * 0).sum().double() for one in (*gradients, *self.values)]).sum() == 0
        norm = torch.linalg.vector_norm(torch.stack([torch.linalg.vector_norm(gradient) for gradient in gradients]))
        if self.clip_norm:
            share = torch.clamp(self.clip_norm / (norm + 1e-6), max=1.0)
            gradients = [gradient * share for gradient in gradients]
        self.update(tensors, gradients, kept, numbers, finite)
        for count in counts:
            count.copy_(count + finite)
        for (name, _), average in zip(self.trained, averages, strict=False):
            average.copy_(torch.where(finite, torch.lerp(average, tensors[name], numbers[-1]), average))
        return torch.stack([*told, finite.double(), norm.double()])

    def descended(self, tensors: Mapping[str, Tensor], batches: Sequence[Batch]) -> tuple[list[Tensor], list[Tensor]]:
        """Return the losses' numbers, and the gradients of what is trained: those of the mean over all batches."""
        leaves = {name: tensors[name].detach().requires_grad_() for name, _ in self.trained}
        told: list[Tensor] = []
        sums: list[Tensor] = []
        weight: Any = 0.0
        self.fields, self.values = [], []
        for batch in batches:
            with torch.enable_grad():
                with self.device.autocast():
                    loss: Loss = functional_call(self.task, {**tensors, **leaves}, (batch,))
                if loss.part or loss.feedback is not None:
                    raise NotCompilableError("its loss tells the source of its samples")
                value = loss.value if len(batches) == 1 else loss.value * loss.weight
                found = torch.autograd.grad(value, list(leaves.values()), allow_unused=True)
            if unreached := [name for name, gradient in zip(leaves, found, strict=True) if gradient is None]:
                raise NotCompilableError(f"its loss does not reach the parameter '{unreached[0]}'")
            sums = [a + b for a, b in zip(sums, found, strict=True)] if sums else list(found)
            weight = weight + loss.weight
            self.values.append(loss.value.detach())
            told += self.told(loss)
        return told, sums if len(batches) == 1 else [gradient / weight for gradient in sums]

    def told(self, loss: Loss) -> Iterator[Tensor]:
        """Yield a loss's numbers that differ from step to step, and note the names of all."""
        fields: Fields = []
        for name, number in (("value", loss.value), ("weight", loss.weight), *loss.scalars.items()):
            if isinstance(number, Tensor):
                yield number.detach().double().reshape(())
            fields.append((name, None if isinstance(number, Tensor) else float(number)))
        self.fields.append(fields)

    def update(
        self,
        tensors: Mapping[str, Tensor],
        gradients: Sequence[Tensor],
        kept: Sequence[list[Tensor]],
        numbers: Sequence[Tensor],
        finite: Tensor,
    ) -> None:
        """Write the new parameters, and what the optimizer keeps of each."""
        of_group: dict[int, Sequence[Tensor]] = {}
        start = 0
        for group in self.optimizer.param_groups:
            count = len(self.rule.numbers(group, 1))
            of_group[id(group)], start = numbers[start : start + count], start + count
        for (name, group), gradient, state in zip(self.trained, gradients, kept, strict=True):
            old = tensors[name]
            new, states = self.rule.update(group, old, gradient.to(old.dtype), state, of_group[id(group)])
            for place, value in zip([old, *state], [new, *states], strict=True):
                place.copy_(torch.where(finite, value, place))
