"""Copies of an environment that are asked together: orders and answers are mappings of arrays, as processes exchange them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

import numpy as np

from dlx.data.control.environment import Blueprint, Environment
from dlx.errors import DlxError

Answer = dict[str, np.ndarray]  # each with one row a copy
Stream = Sequence[int | str]


class Stage(Protocol):
    """Copies by their places, which orders name in ascending order."""

    def begin(self, places: Sequence[int], streams: Sequence[Stream], episodes: Sequence[int]) -> Answer:
        """Begin episodes, by the streams that their seeds are of and their numbers: `observation`."""

    def step(self, places: Sequence[int], actions: np.ndarray, again: bool) -> Answer:
        """Act once in each copy; where an episode ends the next one begins, if `again`.

        `following` is what the action led to, with the goal `achieved` there, and `observation` what is seen now. `reward`,
        `terminated` and `truncated` are of this step; `total`, `length` and `success` of the episode until now.
        """

    def go_to(
        self, places: Sequence[int], streams: Sequence[Stream], episodes: Sequence[int], played: Sequence[np.ndarray]
    ) -> Answer:
        """Play episodes again up to some actions: `observation`."""

    def close(self) -> None:
        """Let go of the environments."""


class Here:
    """Copies in this process, asked in turn; they are made when they are first needed."""

    def __init__(self, blueprint: Blueprint) -> None:
        self.blueprint = blueprint
        self.environments: dict[int, Environment] = {}

    def _chosen(self, places: Sequence[int]) -> list[Environment]:
        for place in places:
            if place not in self.environments:
                self.environments[place] = Environment(self.blueprint)
        return [self.environments[place] for place in places]

    def begin(self, places: Sequence[int], streams: Sequence[Stream], episodes: Sequence[int]) -> Answer:
        """Begin episodes."""
        chosen = self._chosen(places)
        for environment, stream, episode in zip(chosen, streams, episodes, strict=True):
            environment.begin(stream, episode)
        return {"observation": np.stack([environment.observation for environment in chosen])}

    def step(self, places: Sequence[int], actions: np.ndarray, again: bool) -> Answer:
        """Act once in each copy."""
        chosen = [self.environments[place] for place in places]
        results = [environment.step(action) for environment, action in zip(chosen, actions, strict=True)]
        reward, terminated, truncated = zip(*results, strict=True)
        following = observation = np.stack([environment.observation for environment in chosen])
        achieved = np.stack([environment.achieved for environment in chosen])
        episodes = [environment.so_far() for environment in chosen]
        ended = [environment for environment, result in zip(chosen, results, strict=True) if result[1] or result[2]]
        if ended and again:
            for environment in ended:
                environment.begin(environment.stream, environment.episode + 1)
            observation = np.stack([environment.observation for environment in chosen])
        total, length, success = zip(*episodes, strict=True)
        return {
            "following": following,
            "achieved": achieved,
            "observation": observation,
            "reward": np.array(reward),
            "terminated": np.array(terminated),
            "truncated": np.array(truncated),
            "total": np.array(total),
            "length": np.array(length),
            "success": np.array(success),
        }

    def go_to(
        self, places: Sequence[int], streams: Sequence[Stream], episodes: Sequence[int], played: Sequence[np.ndarray]
    ) -> Answer:
        """Play episodes again up to some actions."""
        self.begin(places, streams, episodes)
        chosen = self._chosen(places)
        for environment, actions in zip(chosen, played, strict=True):
            for action in actions:
                environment.step(action)
        return {"observation": np.stack([environment.observation for environment in chosen])}

    def close(self) -> None:
        """Let go of the environments."""
        for environment in self.environments.values():
            environment.close()


def refuse_elsewhere(found: np.ndarray, wanted: np.ndarray, name: str) -> None:
    """Raise DlxError where playing again did not lead to what was seen."""
    if not np.array_equal(found, wanted, equal_nan=found.dtype != np.uint8):
        raise DlxError(
            f"the environment '{name}' does not repeat itself: the same seed and actions led elsewhere, so training cannot go "
            "on exactly; if it carries something over from one episode to the next, set anew: true"
        )


def joined(answers: Sequence[Mapping[str, np.ndarray]]) -> Answer:
    """Join answers of several stages into one."""
    return {word: np.concatenate([answer[word] for answer in answers]) for word in answers[0]}
