"""An experiment to the loop that trains it: optimizers, schedules, and how many steps."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from torch import nn
from torch.optim import Optimizer

from dlx.assembly.experiment import Experiment
from dlx.assembly.plan import Component, Plan, at
from dlx.core import Schedule
from dlx.engine import cached_features
from dlx.engine.options import TrainerOptions
from dlx.engine.trainer import Trainer
from dlx.errors import ComponentError, ConfigError, Fault, unknown
from dlx.optimizers import groups
from dlx.schedules import curves


@dataclass(frozen=True)
class Length:
    """How long a training is; there are no epochs where the data has none."""

    steps: int
    steps_per_epoch: int | None

    def facts(self) -> dict[str, int]:
        """Return the length as facts for schedules."""
        return {"total_steps": self.steps, **({"steps_per_epoch": self.steps_per_epoch} if self.steps_per_epoch else {})}


def build_trainer(built: Experiment) -> Trainer:
    """Build optimizers, schedules and the loop; raises SpecError."""
    plan = built.plan
    with plan.spec.telling():
        length = _length(plan, built.source.batches_per_epoch)
        optimizers = _optimizers(built, length.steps)
        schedules = _schedules(plan, built.facts, length, list(optimizers))
    source = cached_features.cached(built.source, built.task, built.device)
    options = TrainerOptions(**plan.trainer)
    return Trainer(
        built.task, source, optimizers, schedules, built.make_metrics, built.device, built.seed, length.steps, options
    )


def _length(plan: Plan, batches_per_epoch: int | None) -> Length:
    steps_per_epoch = -(-batches_per_epoch // plan.trainer["accumulate"]) if batches_per_epoch else None
    if plan.steps is not None:
        return Length(plan.steps, steps_per_epoch)
    if steps_per_epoch is None or plan.epochs is None:
        raise ConfigError([Fault(("epochs",), f"data '{plan.data.name}' has no epochs; give steps")])
    return Length(plan.epochs * steps_per_epoch, steps_per_epoch)


def _optimizers(built: Experiment, steps: int) -> dict[str, Optimizer]:
    if not any(p.requires_grad for p in built.task.model.parameters()):
        if steps:
            raise ConfigError([Fault(("model",), "has no parameters to train; set epochs: 0 to evaluate it as it is")])
        return {}
    components = built.plan.optimizers
    if "" in components and built.task.parts:  # one given alone is made once for each part
        components = dict.fromkeys(built.task.parts, components[""])
    return {part: _optimizer(built, component, part) for part, component in components.items()}


def _optimizer(built: Experiment, component: Component, part: str) -> Optimizer:
    model: nn.Module = built.task.model
    with at(component.path):
        if part:
            parts = dict(model.named_children())
            if part not in parts:
                raise ComponentError(unknown("part of the model", part, list(parts)))
            model = parts[part]
        make = component.constructor()
        try:
            return groups.construct(make, model, component.choices, component.options, built.device.device)
        except ValueError as error:  # torch's own bounds, such as a negative lr: its message ends with the value
            key = [(k,) for k, v in component.choices.items() if str(error).endswith(f": {v}")]
            raise ComponentError(str(error), key[0] if len(key) == 1 else ()) from None


def _schedules(plan: Plan, facts: Mapping[str, Any], length: Length, parts: list[str]) -> dict[str, Schedule]:
    given = plan.schedules
    found: dict[str, Schedule] = {}
    for part in parts:
        component = given.get(part) or given[""]
        warmup, total = component.options["warmup"], length.steps
        steps = int(warmup * total) if isinstance(warmup, float) and warmup < 1 else int(warmup)
        own = {**facts, **length.facts(), "total_steps": max(total - steps, 1), "warmup_steps": steps}
        inner: Schedule = component.build(own, "a run in steps")
        found[part] = curves.WarmedUp(inner, steps) if steps else inner
    return found
