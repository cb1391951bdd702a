"""What predicts: a task with its model, on a device."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import torch

from dlx import registry
from dlx.assembly.plan import LearnerPlan, at
from dlx.core import Processor, Task
from dlx.engine.device import Device
from dlx.errors import DlxError
from dlx.storage.failures import reason


@dataclass(frozen=True)
class Learner:
    """What can predict: a task with its model, on a device."""

    task: Task
    device: Device
    seed: int


def build_learner(plan: LearnerPlan, facts: Mapping[str, Any], processor: Processor | None, data: str = "the data") -> Learner:
    """Build model and task from facts, as a checkpoint keeps them; raises ConfigError."""
    with at(("device",)):
        device = Device(**plan.device)
    torch.manual_seed(plan.seed)
    task = build_task(plan, facts, processor, data)
    device.prepare(task)
    return Learner(task, device, plan.seed)


def build_task(plan: LearnerPlan, facts: Mapping[str, Any], processor: Processor | None, data: str = "the data") -> Task:
    """Build a task and its model on the CPU, with weights as chance has them; raises ConfigError."""
    given = {**facts, **processor_fact(processor)}
    task: Task = plan.task.build({**given, "model": plan.model.build(given, data)}, data)
    return task


def processor_fact(processor: Processor | None) -> dict[str, Processor]:
    """Return the processor as the fact that components may ask for; none where the data have none."""
    return {} if processor is None else {"processor": processor}


def restored_processor(state: Mapping[str, Any]) -> Processor:
    """Make a processor again from what a checkpoint keeps."""
    cls: Any = registry.processors.get(state["name"])
    try:
        made: Processor = cls.from_state(state["state"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise DlxError(
            f"the checkpoint's processor is no '{state['name']}': {type(error).__name__}: {reason(error)}"
        ) from error
    return made
