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
        return {"observation": self._seen(chosen)}

    def step(self, places: Sequence[int], actions: np.ndarray, again: bool) -> Answer:
        """Act once in each copy."""
        chosen = [self.environments[place] for place in places]
        taken = self.blueprint.actions.taken(actions)
        results = [environment.step(action) for environment, action in zip(chosen, taken, strict=True)]
        reward, terminated, truncated = zip(*results, strict=True)
        following = observation = self._seen(chosen)
        total, length, success = zip(*[(one.total, one.length, one.success) for one in chosen], strict=True)
        achieved = self._achieved(chosen)
        if again and (True in terminated or True in truncated):
            for environment, (_, one, other) in zip(chosen, results, strict=True):
                if one or other:
                    environment.begin(environment.stream, environment.episode + 1)
            observation = self._seen(chosen)
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

    def _achieved(self, chosen: list[Environment]) -> np.ndarray:
        """Return the goals that some copies have achieved, (N, G); (N, 0) where there are none."""
        if not self.blueprint.observations.is_goal:
            return np.empty((len(chosen), 0))
        return np.array([environment.achieved for environment in chosen])

    def _seen(self, chosen: list[Environment]) -> np.ndarray:
        """Return what some copies show, (N, ...): copies of it, at a fifth of what np.stack takes for small ones."""
        seen = np.concatenate([environment.observation for environment in chosen])
        return seen.reshape(len(chosen), *self.blueprint.shape)

    def go_to(
        self, places: Sequence[int], streams: Sequence[Stream], episodes: Sequence[int], played: Sequence[np.ndarray]
    ) -> Answer:
        """Play episodes again up to some actions."""
        self.begin(places, streams, episodes)
        chosen = self._chosen(places)
        for environment, actions in zip(chosen, played, strict=True):
            for action in self.blueprint.actions.taken(actions) if len(actions) else ():
                environment.step(action)
        return {"observation": self._seen(chosen)}

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
