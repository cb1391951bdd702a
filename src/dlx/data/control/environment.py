"""One copy of an environment: episodes that are seeded of their own, and a state from which it goes on exactly.

No environment can be copied, since some hide what they are in another language. But one is where it is by the seed of its
episode and by the actions since: to return there, they are played again.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from dlx.data.control import catalogue
from dlx.data.control.options import EnvironmentOptions
from dlx.data.control.spaces import Actions, Observations
from dlx.errors import DlxError


class Episode(NamedTuple):
    """A finished episode; `success` is nan where the environment tells none."""

    total: float  # sum of the rewards
    length: int
    success: float


class Blueprint:
    """An environment's name and settings, and what follows from them: how it is seen, and what it takes."""

    def __init__(self, options: EnvironmentOptions) -> None:
        self.options, self.name = options, options.environment
        first = self.make()
        try:
            self.observations = Observations(first.observation_space, options)
            self.actions = Actions(first.action_space, self.name)
        finally:
            first.close()
        stack = options.frame_stack
        self.shape = (self.observations.shape[0] * stack, *self.observations.shape[1:])
        self.facts = {**self.observations.facts(stack), **self.actions.facts()}

    def make(self) -> Any:
        """Make one copy."""
        return catalogue.make(self.name, self.options.settings)


def episode_seed(*keys: int | str) -> int:
    """Return the seed of an episode: neighbouring keys give unrelated ones."""
    digest = hashlib.blake2b("/".join(map(str, keys)).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1  # 31 bits: some environments take no more


class Environment:
    """One copy. What is seen now is `observation`, in a goal environment with what is `achieved`.

    `stream` is what its episodes are seeded from, together with their numbers.
    """

    def __init__(self, blueprint: Blueprint, *stream: int | str) -> None:
        self.blueprint, self.stream = blueprint, stream
        self.inner = blueprint.make()
        self.episode, self.length, self.total, self.success = -1, 0, 0.0, math.nan
        self.played: list[Any] = []  # actions since the episode began
        self.frames: list[np.ndarray] = []
        self.observation = np.zeros(blueprint.shape, blueprint.observations.kind)
        self.achieved = np.zeros(blueprint.observations.goal_size)

    def begin(self, episode: int) -> None:
        """Begin an episode, by its number."""
        if self.blueprint.options.anew and self.episode >= 0:
            self.inner.close()
            self.inner = self.blueprint.make()
        self.episode, self.length, self.total, self.success = episode, 0, 0.0, math.nan
        self.played = []
        given = self._asked(lambda: self.inner.reset(seed=episode_seed(*self.stream, episode)))[0]
        self._look(given, first=True)

    def step(self, action: Any) -> tuple[float, bool, bool]:
        """Act, and return the reward, and whether the episode is terminated and whether it is truncated."""
        self.played.append(action)
        taken = self.blueprint.actions.taken(action)
        given, reward, terminated, truncated, info = self._asked(lambda: self.inner.step(taken))
        reward = float(reward)
        if not math.isfinite(reward):
            raise DlxError(f"the environment '{self.blueprint.name}' gave the reward {reward}")
        self.total, self.length = self.total + reward, self.length + 1
        if "is_success" in info:
            self.success = float(info["is_success"])
        self._look(given)
        return reward, bool(terminated), bool(truncated)

    def _asked(self, what: Any) -> Any:
        try:
            return what()
        except Exception as error:  # the environment's own code: the run ends, in one line
            told = str(error).splitlines()[0] if str(error) else ""
            raise DlxError(f"the environment '{self.blueprint.name}' failed: {type(error).__name__}: {told}") from error

    def _look(self, given: Any, first: bool = False) -> None:
        observations, stack = self.blueprint.observations, self.blueprint.options.frame_stack
        seen = observations(given)
        if stack > 1:
            self.frames = [seen] * stack if first else [*self.frames[1:], seen]
            seen = np.concatenate(self.frames)
        self.observation = seen
        if observations.is_goal:
            self.achieved = observations.achieved(given)

    def finished(self) -> Episode:
        """Return the episode that has just ended."""
        return Episode(self.total, self.length, self.success)

    def go_to(self, episode: int, actions: Sequence[Any], observation: np.ndarray) -> None:
        """Play an episode again up to some actions; raises DlxError where that does not lead to what was seen there."""
        self.begin(episode)
        for action in actions:
            self.step(action)
        if not np.array_equal(self.observation, observation, equal_nan=self.observation.dtype != np.uint8):
            raise DlxError(
                f"the environment '{self.blueprint.name}' does not repeat itself: the same seed and actions led elsewhere, so "
                "training cannot go on exactly; if it carries something over from one episode to the next, set anew: true"
            )

    def close(self) -> None:
        """Let go of the environment."""
        self.inner.close()
