"""Steps taken in one compiled call each, where they can be."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Optimizer

from dlx.core import Batch
from dlx.engine.compiling import library
from dlx.engine.compiling.rules import rule_of
from dlx.engine.compiling.whole_step import NotCompilableError, WholeStep
from dlx.engine.step import NonFiniteError, Stepper, Totals, add, named, of_part, samples


class CompiledStepper(Stepper):
    """Takes each step of the usual shapes in one compiled call, and every other one as written.

    The first step is taken as written where the optimizer makes what it keeps of the parameters then. Which steps are compiled
    follows from their batches alone, so a resumed run compiles the same ones.
    """

    def __init__(self, plain: Stepper, usual: tuple[int, int], tell: Callable[[str], None]) -> None:
        super().__init__(plain.task, plain.optimizers, plain.device, plain.clip_norm, plain.average)
        self.compiles = True
        self.usual, self.tell = usual, tell  # micro-batches of a step, and samples of each
        self.shapes: list[Any] = []  # of a compiled step's batches
        self.step: WholeStep | None = None
        self.run: library.Run | None = None
        self.given_up = False

    def __call__(self, group: Sequence[Batch], totals: Totals) -> None:
        if self.run is None and not self.given_up and self.is_usual(group):
            self.compile(group)
        tensors = [value for batch in group for value in batch.values()]
        if self.run is None or [(tensor.shape, tensor.stride()) for tensor in tensors] != self.shapes:
            super().__call__(group, totals)
        else:
            self.take(tensors, group, totals)

    def is_usual(self, group: Sequence[Batch]) -> bool:
        """Tell whether a step has the usual size, and the optimizer has made what it keeps."""
        usual = len(group) == self.usual[0] and all(len(batch["index"]) == self.usual[1] for batch in group)
        return usual and all(map(has_state, self.optimizers.values()))

    def compile(self, group: Sequence[Batch]) -> None:
        """Make the one call of a step of these shapes, or give it up and say why."""
        try:
            self.step = self.whole_step(group)
            self.held = [*self.step.held(), torch.tensor(self.step.numbers(), device=self.device.device)]
            tensors = [value for batch in group for value in batch.values()]
            self.run = library.compiled(self.step, [*self.held, *tensors], self.tell)
            self.shapes = [(tensor.shape, tensor.stride()) for tensor in tensors]
        except NotCompilableError as error:
            self.given_up = True
            self.tell(f"steps are not compiled: {error}")

    def whole_step(self, group: Sequence[Batch]) -> WholeStep:
        """Return a step of these batches as a function; raises NotCompilableError."""
        optimizers = {}
        for part, optimizer in self.optimizers.items():
            rule = rule_of(optimizer)
            if rule is None:
                raise NotCompilableError(f"the optimizer {type(optimizer).__name__} is not among those that can be compiled")
            optimizers[part] = optimizer, rule
        if any(not isinstance(value, Tensor) for batch in group for value in batch.values()):
            raise NotCompilableError("its batches hold more than tensors")
        words = [list(batch) for batch in group]
        return WholeStep(self.task, optimizers, self.device, self.clip_norm, self.average, words)

    def take(self, tensors: list[Tensor], group: Sequence[Batch], totals: Totals) -> None:
        """Take a step in one call, and read its numbers; raises NonFiniteError, with the parameters as they were."""
        assert self.step is not None
        assert self.run is not None
        self.held[-1] = torch.tensor(self.step.numbers(), device=self.device.device)
        told = iter(self.run([*self.held, *tensors])[0].tolist())
        self.feedback = []
        for part, batches in self.step.fields:
            for fields in batches:
                numbers = {name: next(told) if constant is None else constant for name, constant in fields}
                self.count(part, numbers.pop("value"), numbers.pop("weight"), numbers, group, totals)
            if not next(told):
                raise NonFiniteError(f"the gradient of {named(part)} is not finite{samples(group)}")
            norm = next(told)
            if self.clip_norm:
                add(totals, of_part("gradient_norm", part), norm, 1.0)
        if self.average:
            self.average.updates += 1


def has_state(optimizer: Optimizer) -> bool:
    """Tell whether an optimizer has made what it keeps of every parameter."""
    rule = rule_of(optimizer)
    groups = optimizer.param_groups
    return rule is None or all(not rule.kept(g) or optimizer.state.get(p) for g in groups for p in g["params"])
