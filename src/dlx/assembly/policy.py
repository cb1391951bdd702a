"""A trained policy, to say what it would do in another training's environment."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dlx.assembly.restore import load
from dlx.core import Act, Batch, Source, Task
from dlx.errors import ComponentError, DlxError

SCRIPTED = "scripted"
ACTION = "action"  # the word that tasks predict which act
SHAPING = ("input_shape", "num_actions", "action_size")  # facts that a policy and an environment must share


def scripted(source: Source) -> Act:
    """Return the policy that comes with the environment of a source; raises ComponentError where there is none."""
    if (act := source.expert()) is None:
        raise ComponentError("the environment has no scripted policy; give a run that acts in it")
    return act


class TrainedPolicy:
    """What a checkpoint's task does at its best, in evaluation mode and float32, on the device of the observations."""

    def __init__(self, task: Task) -> None:
        self.task = task.eval().requires_grad_(False)

    @torch.no_grad()
    def __call__(self, batch: Batch, explore: bool = False) -> Batch:
        """Choose the best known actions in view of a batch of observations."""
        seen: Tensor = batch["input"]
        with torch.autocast(seen.device.type, enabled=False):
            return self.task.to(seen.device).act(batch, False)


def of_source(source: Source, name: str) -> Act:
    """Load the policy of a run or a checkpoint, or the scripted one, to be asked in the environment of a source.

    Raises ComponentError where there is none, or where it sees or does something else.
    """
    if name == SCRIPTED:
        return scripted(source)
    try:
        loaded = load(name)
        plan = loaded.plan([])
        if ACTION not in plan.task.constructor().predicts:
            raise ComponentError(f"{name}: its task '{plan.task.name}' does not act; give a run that does")
        _refuse_other(name, loaded.json("facts.json"), source.facts)
        return TrainedPolicy(loaded.task(plan))
    except ComponentError:
        raise
    except DlxError as error:
        raise ComponentError(str(error)) from None


def _refuse_other(name: str, its: Mapping[str, Any], wanted: Mapping[str, Any]) -> None:
    for fact in SHAPING:
        if its.get(fact) != wanted.get(fact):
            told = f"its {fact} is {its.get(fact)}, and that of the data {wanted.get(fact)}"
            raise ComponentError(f"{name}: was trained in an environment that shows or takes something else: {told}")
