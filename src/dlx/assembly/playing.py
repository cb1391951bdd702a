"""A trained policy, to play in its own environment."""

from __future__ import annotations

from dlx.assembly.experiment import Experiment, restored
from dlx.assembly.restore import Loaded
from dlx.engine.actor import Actor


def playing(loaded: Loaded, overrides: list[str], trusted: bool = False) -> tuple[Experiment, Actor]:
    """Build the experiment of a checkpoint, and what acts in its data's environment with its weights; raises SpecError."""
    built = restored(loaded.spec(overrides), loaded.trained_on(()), lambda plan: loaded.approve(plan, trusted))
    loaded.fill(built.task)
    return built, Actor(built.task, built.device)
