"""Hindsight: what was reached later in an episode is taken for its goal (Andrychowicz et al., 2017, strategy "future")."""

from __future__ import annotations

from typing import Any, Protocol, runtime_checkable

import numpy as np

from dlx.data.control.environment import Blueprint
from dlx.data.control.memory import RUNNING, Memory
from dlx.errors import ComponentError


@runtime_checkable
class GoalEnvironment(Protocol):
    """An environment that says what a goal would have been worth, for arrays of goals (B, G)."""

    def compute_reward(self, achieved_goal: Any, desired_goal: Any, info: Any) -> Any: ...


class Hindsight:
    """Changes the goals of `ratio` frames to every one that keeps its own; raises ComponentError where there are no goals.

    A frame's termination stays as it was.
    """

    def __init__(self, blueprint: Blueprint, ratio: int) -> None:
        self.share, self.size = ratio / (ratio + 1), blueprint.observations.goal_size
        self.made = blueprint.make()
        inner = self.made.unwrapped
        if not self.size or not isinstance(inner, GoalEnvironment):
            self.made.close()
            raise ComponentError(f"needs an environment with goals, and '{blueprint.name}' has none", ("hindsight",))
        self.inner: GoalEnvironment = inner

    def __call__(self, batch: dict[str, np.ndarray], memory: Memory, slots: np.ndarray, shares: np.ndarray) -> None:
        """Change a batch of frames in place; `shares` (2, B) below 1 decide which ones, and to what."""
        steps, last = memory.steps(slots), memory.flat["last"][slots]
        ahead = np.where(last == RUNNING, memory.written - 1, last) - steps + 1
        later = steps + (shares[1] * ahead).astype(np.int64)
        chosen = shares[0] < self.share
        reached = memory.flat["achieved"]
        goal = reached[memory.slots(later, slots % memory.count)][chosen]
        for word in ("input", "next_input"):
            batch[word][chosen, -self.size :] = goal
        batch["reward"][chosen] = self.inner.compute_reward(reached[slots[chosen]], goal, {})

    def close(self) -> None:
        """Let go of the environment that is asked."""
        self.made.close()
