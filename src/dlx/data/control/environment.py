"""One copy of an environment: episodes that are seeded of their own, and a state from which it goes on exactly.

No environment can be copied, since some hide what they are in another language. But one is where it is by the seed of its
episode and by the actions since: to return there, they are played again.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Sequence
from typing import Any, NamedTuple, cast

import numpy as np

from dlx.data.control import catalogue
from dlx.data.control.options import EnvironmentOptions
from dlx.data.control.spaces import Actions, Observations
from dlx.errors import DlxError


class Episode(NamedTuple):
    """An episode until now, or a finished one; `success` is nan where the environment tells none."""

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
            self.render_modes: list[str] = list(first.metadata.get("render_modes") or ())
        finally:
            first.close()
        stack = options.frame_stack
        self.shape = (self.observations.shape[0] * stack, *self.observations.shape[1:])
        self.facts = {**self.observations.facts(stack), **self.actions.facts()}

    def behind_each_other(self, seen: Sequence[np.ndarray]) -> np.ndarray:
        """Return an episode's observations, from its first one on, with the last ones behind each other as `frame_stack` says."""
        stack = range(self.options.frame_stack - 1, -1, -1)
        return np.stack([np.concatenate([seen[max(step - back, 0)] for back in stack]) for step in range(len(seen))])

    def make(self, render_mode: str | None = None) -> Any:
        """Make one copy, which may render what is to be seen."""
        more = {} if render_mode is None else {"render_mode": render_mode}
        return catalogue.make(self.name, {**self.options.settings, **more})


def episode_seed(*keys: int | str) -> int:
    """Return the seed of an episode: neighbouring keys give unrelated ones."""
    digest = hashlib.blake2b("/".join(map(str, keys)).encode(), digest_size=4).digest()
    return int.from_bytes(digest, "big") >> 1  # 31 bits: some environments take no more


class Environment:
    """One copy. What is seen now is `observation`, in a goal environment with what is `achieved`.

    `stream` is what its episodes are seeded from, together with their numbers.
    """

    def __init__(self, blueprint: Blueprint, render_mode: str | None = None) -> None:
        self.blueprint, self.stream = blueprint, cast(Sequence[int | str], ())
        self.render_mode = render_mode
        self.inner = blueprint.make(render_mode)
        self.episode, self.length, self.total, self.success = -1, 0, 0.0, math.nan
        self.frames: list[np.ndarray] = []
        self.observation = np.zeros(blueprint.shape, blueprint.observations.kind)
        self.achieved = np.zeros(blueprint.observations.goal_size)

    def begin(self, stream: Sequence[int | str], episode: int) -> None:
        """Begin an episode of a stream, by its number."""
        if self.blueprint.options.anew and self.episode >= 0:
            self.inner.close()
            self.inner = self.blueprint.make(self.render_mode)
        self.stream, self.episode, self.length, self.total, self.success = stream, episode, 0, 0.0, math.nan
        try:
            given, _ = self.inner.reset(seed=episode_seed(*stream, episode))
        except Exception as error:
            raise self._failed(error) from error
        self._look(given, first=True)

    def step(self, taken: Any) -> tuple[float, bool, bool]:
        """Act, in the environment's units; return the reward, whether the episode is terminated and whether it is truncated."""
        try:
            given, reward, terminated, truncated, info = self.inner.step(taken)
        except Exception as error:
            raise self._failed(error) from error
        reward = float(reward)
        if not math.isfinite(reward):
            raise DlxError(f"the environment '{self.blueprint.name}' gave the reward {reward}")
        self.total, self.length = self.total + reward, self.length + 1
        if "is_success" in info:
            self.success = float(info["is_success"])
        self._look(given)
        return reward, bool(terminated), bool(truncated)

    def _failed(self, error: Exception) -> DlxError:
        """Say in one line what the environment's own code has raised."""
        told = str(error).splitlines()[0] if str(error) else ""
        return DlxError(f"the environment '{self.blueprint.name}' failed: {type(error).__name__}: {told}")

    def _look(self, given: Any, first: bool = False) -> None:
        observations, stack = self.blueprint.observations, self.blueprint.options.frame_stack
        seen = observations(given)
        if stack > 1:
            seen = np.array(seen)
            self.frames = [seen] * stack if first else [*self.frames[1:], seen]
            seen = np.concatenate(self.frames)
        self.observation = seen
        if observations.is_goal:
            self.achieved = observations.achieved(given)

    def picture(self) -> np.ndarray:
        """Return a frame, uint8 (H, W, 3), of what is to be seen now; DlxError where nothing is."""
        try:
            frame = np.asarray(self.inner.render())
        except Exception as error:  # such as where a library that draws without a screen is missing
            raise self._failed(error) from error
        if frame.dtype != np.uint8 or frame.ndim != 3 or frame.shape[-1] != 3:
            raise DlxError(f"the environment '{self.blueprint.name}' renders no image in colours: it gives {frame.shape}")
        return frame

    def close(self) -> None:
        """Let go of the environment."""
        self.inner.close()
