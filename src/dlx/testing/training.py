"""What optimizers, schedules and loggers promise."""

from __future__ import annotations

import copy
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from torch import nn

from dlx import registry
from dlx.core import Logger, Schedule, Table
from dlx.testing.common import as_json, build, same

STEPS = 50


def check_optimizer(name: str, choices: Mapping[str, Any] | None = None) -> None:
    """Check a registered optimizer: fifty steps bring a quadratic down, and one restored from its state goes on alike."""

    def step(point: nn.Parameter, optimizer: torch.optim.Optimizer) -> float:
        optimizer.zero_grad()
        loss = ((point - 1) ** 2 * torch.arange(1, 9)).sum()
        loss.backward()
        optimizer.step()
        return float(loss.detach())

    point = nn.Parameter(torch.zeros(8))
    optimizer = build(registry.optimizers, name, choices, {"params": [point]})
    losses = [step(point, optimizer) for _ in range(STEPS)]
    assert losses[-1] < losses[0], f"{name}: after {STEPS} steps a quadratic is {losses[-1]:.3g}, not below {losses[0]:.3g}"
    again = nn.Parameter(point.detach().clone())
    restored = build(registry.optimizers, name, choices, {"params": [again]})
    restored.load_state_dict(copy.deepcopy(optimizer.state_dict()))
    for _ in range(3):
        step(point, optimizer)
        step(again, restored)
    assert same(point.detach(), again.detach()), f"{name}: restored from its state, it takes other steps"


def check_schedule(name: str, choices: Mapping[str, Any] | None = None, steps: int = 100) -> None:
    """Check a registered schedule over the steps behind a warm-up, with ten steps an epoch and an evaluation after each.

    Factors are finite and never negative, follow from the step and the state alone, and the state is JSON.
    """
    facts = {"total_steps": steps, "steps_per_epoch": 10, "warmup_steps": 10}
    schedule: Schedule = build(registry.schedules, name, choices, facts)
    resumed: Schedule | None = None
    for number in range(steps):
        factor = schedule.factor(number)
        assert 0 <= factor < math.inf, f"{name}: the factor of step {number} is {factor}"
        assert factor == schedule.factor(number), f"{name}: the factor of one step changes as it is asked for"
        if resumed:
            assert factor == resumed.factor(number), (
                f"{name}: resumed from its state, the factor of step {number} is another one"
            )
        if number % 10 == 9:
            for one in filter(None, (schedule, resumed)):
                one.observe(1.0 / (1 + number % 7), number % 20 == 9)
        if number == steps // 2:
            resumed = build(registry.schedules, name, choices, facts)
            resumed.load_state_dict(as_json(schedule.state_dict(), f"the state of the schedule '{name}'"))


class Bare:
    """A picture that does what the protocol promises, and has nothing else."""

    def savefig(self, file: Any, /) -> None:
        """Save a picture of a few pixels."""
        from PIL import Image

        Image.new("L", (4, 3)).save(file, format="PNG")


def check_logger(name: str, folder: Path, choices: Mapping[str, Any] | None = None) -> None:
    """Check a registered logger in a run made within a folder: it takes whatever a run tells it, and closes twice."""
    from dlx.storage.run import Run

    with Run.create(folder, "run", exact=False) as run:
        logger: Logger = build(registry.loggers, name, choices, {"run": run, "quiet": True})
        logger.log(1, {"train/loss": 0.5, "epoch": 1, "val/f1/$[/b]\n": math.nan})
        logger.progress(1, 2)
        logger.message("a line\nand another")
        for title in ("plain", "with/slash", "..", "name \n with \x1b[2J"):
            logger.picture(1, title, Bare())
            logger.frame(1, title, Bare())
            logger.table(1, title, Table(["text", "answer"], [["a\nb", "\x1b[31mc"]]))
        logger.close()
        logger.close()
