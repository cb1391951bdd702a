"""Several copies of an environment, stepped in turn: where one's episode ends its next one begins at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from dlx.data.control.environment import Blueprint, Environment, Episode


class Step(NamedTuple):
    """What came of an action in each of N copies."""

    following: np.ndarray  # (N, ...) the observations that it led to, the last ones of their episodes among them
    achieved: np.ndarray  # (N, G) the goals achieved there; (N, 0) where there are no goals
    reward: np.ndarray  # float64 (N,)
    terminated: np.ndarray  # bool (N,)
    truncated: np.ndarray  # bool (N,)
    episodes: list[Episode]  # those that ended


class Copies:
    """N copies of an environment; `observation` (N, ...) is what is seen now."""

    def __init__(self, blueprint: Blueprint, count: int, *stream: int | str) -> None:
        self.environments = [Environment(blueprint, *stream, number) for number in range(count)]
        for environment in self.environments:
            environment.begin(0)
        self._see()

    def __len__(self) -> int:
        return len(self.environments)

    def _see(self) -> None:
        self.observation = np.stack([environment.observation for environment in self.environments])

    def step(self, actions: np.ndarray) -> Step:
        """Act once in every copy."""
        count = len(self)
        following, achieved, episodes = [], [], list[Episode]()
        reward, terminated, truncated = np.zeros(count), np.zeros(count, bool), np.zeros(count, bool)
        begun = False
        for number, (environment, action) in enumerate(zip(self.environments, actions, strict=True)):
            reward[number], terminated[number], truncated[number] = environment.step(action)
            following.append(environment.observation)
            achieved.append(environment.achieved)
            if terminated[number] or truncated[number]:
                begun = True
                episodes.append(environment.finished())
                environment.begin(environment.episode + 1)
        seen = np.stack(following)
        if begun:
            self._see()
        else:
            self.observation = seen
        return Step(seen, np.stack(achieved), reward, terminated, truncated, episodes)

    def state_dict(self) -> dict[str, Any]:
        """Return of each copy the number of its episode and of the actions since, and as tensors the actions, and what is seen."""
        played = [action for environment in self.environments for action in environment.played]
        state = {
            "episodes": [environment.episode for environment in self.environments],
            "actions": [len(environment.played) for environment in self.environments],
            "environment.observation": torch.from_numpy(self.observation),
        }
        return state | ({"environment.actions": torch.from_numpy(np.stack(played))} if played else {})

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Return to a state, by playing the episodes again."""
        counts, seen = state["actions"], state["environment.observation"].numpy()
        played = state["environment.actions"].numpy() if sum(counts) else np.zeros(0)
        ends = np.cumsum(counts)
        for environment, episode, count, end, row in zip(self.environments, state["episodes"], counts, ends, seen, strict=True):
            environment.go_to(episode, list(played[end - count : end]), row)
        self._see()

    def close(self) -> None:
        """Let go of the environments."""
        for environment in self.environments:
            environment.close()
