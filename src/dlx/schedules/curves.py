"""How the learning rate goes over a run."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt

from dlx.core import Schedule
from dlx.errors import ComponentError
from dlx.registry import schedules

Share = Annotated[float, Field(ge=0, le=1)]


def options(*, warmup: Annotated[float, Field(ge=0)] | Annotated[int, Field(ge=0)] = 0) -> None:
    """State what every schedule takes: a linear warm-up over so many steps or, below 1, that share of the run."""


class WarmedUp(Schedule):
    """A schedule behind a linear warm-up; the schedule runs over what is left."""

    def __init__(self, inner: Schedule, steps: int) -> None:
        self.inner, self.steps = inner, steps

    def factor(self, step: int) -> float:
        if step < self.steps:
            return (step + 1) / (self.steps + 1) * self.inner.factor(0)
        return self.inner.factor(step - self.steps)

    def observe(self, value: float, better: bool) -> None:
        self.inner.observe(value, better)

    def state_dict(self) -> dict[str, Any]:
        return self.inner.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.inner.load_state_dict(state)


@schedules("constant")
class Constant(Schedule):
    """The learning rate stays."""


@schedules("step")
class Step(Schedule):
    """Multiplied by gamma after every so many epochs, or at the epochs named."""

    def __init__(
        self,
        steps_per_epoch: int,
        *,
        every: PositiveInt | None = None,
        at: list[PositiveInt] | None = None,
        gamma: PositiveFloat = 0.1,
    ) -> None:
        if (every is None) == (not at):
            raise ComponentError("give either 'every' (epochs) or 'at' (a list of epochs)")
        self.steps_per_epoch, self.every, self.at, self.gamma = steps_per_epoch, every, at or (), gamma

    def factor(self, step: int) -> float:
        epoch = step // self.steps_per_epoch
        return self.gamma ** (epoch // self.every if self.every else sum(epoch >= e for e in self.at))


@schedules("exponential")
class Exponential(Schedule):
    """Multiplied by gamma every epoch, smoothly."""

    def __init__(self, steps_per_epoch: int, *, gamma: Annotated[float, Field(gt=0, le=1)]) -> None:
        self.steps_per_epoch, self.gamma = steps_per_epoch, gamma

    def factor(self, step: int) -> float:
        return self.gamma ** (step / self.steps_per_epoch)


@schedules("linear")
class Linear(Schedule):
    """Falls in a straight line to a share of itself."""

    def __init__(self, total_steps: int, *, minimum: Share = 0.0) -> None:
        self.total_steps, self.minimum = max(total_steps, 1), minimum

    def factor(self, step: int) -> float:
        return 1 - (1 - self.minimum) * min(step / self.total_steps, 1)


@schedules("cosine")
class Cosine(Schedule):
    """Falls along half a cosine to a share of itself (Loshchilov and Hutter 2017, without restarts)."""

    def __init__(self, total_steps: int, *, minimum: Share = 0.0) -> None:
        self.total_steps, self.minimum = max(total_steps, 1), minimum

    def factor(self, step: int) -> float:
        fall = (1 + math.cos(math.pi * min(step / self.total_steps, 1))) / 2
        return self.minimum + (1 - self.minimum) * fall


@schedules("inverse_square_root")
class InverseSquareRoot(Schedule):
    """Falls with the root of the steps behind a warm-up (Vaswani et al. 2017, section 5.3).

    With a warm-up of w - 1 steps the factor of the n-th step is min(n / w, sqrt(w / n)): theirs, with the rate as its peak,
    which step w has. How long the run is does not matter.
    """

    def __init__(self, warmup_steps: int) -> None:
        if not warmup_steps:
            raise ComponentError(
                "wants a warm-up of a step at least, since its length decides how fast the rate falls", ("warmup",)
            )
        self.peak = warmup_steps + 1

    def factor(self, step: int) -> float:
        return math.sqrt(self.peak / (self.peak + step))


@schedules("one_cycle")
class OneCycle(Schedule):
    """Rises along a cosine to the learning rate and falls to almost nothing (Smith and Topin 2018)."""

    def __init__(self, total_steps: int, *, rise: Share = 0.3, start: Share = 0.04, end: NonNegativeFloat = 4e-6) -> None:
        self.total_steps, self.rise, self.start, self.end = max(total_steps, 1), rise, start, end

    def factor(self, step: int) -> float:
        # The last step, total - 1, gets the end: torch's OneCycleLR counts so.
        peak = self.rise * self.total_steps - 1
        if step <= peak:
            return self.start + (1 - self.start) * (1 - math.cos(math.pi * step / max(peak, 1))) / 2
        share = min((step - peak) / max(self.total_steps - 1 - peak, 1), 1)
        return self.end + (1 - self.end) * (1 + math.cos(math.pi * share)) / 2


@schedules("plateau")
class Plateau(Schedule):
    """Multiplied by gamma after so many evaluations in a row without a new best."""

    def __init__(
        self, *, patience: PositiveInt = 5, gamma: Annotated[float, Field(gt=0, lt=1)] = 0.1, minimum: Share = 0.0
    ) -> None:
        self.patience, self.gamma, self.minimum = patience, gamma, minimum
        self.now, self.waited = 1.0, 0

    def factor(self, step: int) -> float:
        return self.now

    def observe(self, value: float, better: bool) -> None:
        self.waited = 0 if better else self.waited + 1
        if self.waited >= self.patience:
            self.now, self.waited = max(self.now * self.gamma, self.minimum), 0

    def state_dict(self) -> dict[str, Any]:
        return {"now": self.now, "waited": self.waited}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        self.now, self.waited = state["now"], state["waited"]
