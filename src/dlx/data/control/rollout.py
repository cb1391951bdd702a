"""A rollout: what copies of an environment went through under one policy, and how good each action turned out."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

PREFIX = "rollout."
LARGEST_REWARD = 10.0  # in standard deviations


def advantages(
    reward: np.ndarray, value: np.ndarray, ended: np.ndarray, last: np.ndarray, discount: float, decay: float
) -> np.ndarray:
    """Compute generalised advantage estimates (T, N) backwards through time (Schulman et al., 2016).

    `reward`, `value` (T, N); `ended` says where an episode ends with the step: the value of what follows it there is not its
    own. `last` (N,) are the values of the observations after the last step.
    """
    found, following = np.zeros_like(reward), np.zeros_like(last)
    for step in range(len(reward) - 1, -1, -1):
        goes_on = discount * ~ended[step]
        error = reward[step] + goes_on * last - value[step]
        found[step] = following = error + goes_on * decay * following
        last = value[step]
    return found


class Rollout:
    """Up to `steps` steps of `count` copies: every word that the policy gave, rewards, and ends of episodes."""

    def __init__(self, steps: int, count: int) -> None:
        self.steps, self.count, self.filled = steps, count, 0
        self.words: dict[str, np.ndarray] = {}  # (T, N, ...)

    def add(self, words: Mapping[str, np.ndarray]) -> None:
        """Take in one step of all copies, by words (N, ...)."""
        if not self.words:
            self._make_room(words)
        for word, value in words.items():
            self.words[word][self.filled] = value
        self.filled += 1

    def _make_room(self, words: Mapping[str, np.ndarray]) -> None:
        self.words = {word: np.zeros((self.steps, *value.shape), value.dtype) for word, value in words.items()}

    @property
    def is_full(self) -> bool:
        """Return whether all steps are there."""
        return self.filled == self.steps

    def finish(self, last: np.ndarray, discount: float, decay: float) -> None:
        """Compute `advantage` and `return` of every step; `last` (N,) are the values of what is seen after the last one."""
        value = self.words["value"].astype(np.float64)
        found = advantages(self.words["reward"], value, self.words["ended"], last.astype(np.float64), discount, decay)
        self.words["advantage"] = found.astype(np.float32)
        self.words["return"] = (found + value).astype(np.float32)

    @property
    def is_finished(self) -> bool:
        """Return whether it has its advantages; a policy that tells no values has none."""
        return "advantage" in self.words or "value" not in self.words

    def samples(self) -> dict[str, Tensor]:
        """Return the words of all steps of all copies in one row."""
        learned = [word for word in self.words if word not in ("reward", "ended")]
        return {word: torch.from_numpy(self.words[word]).flatten(0, 1) for word in learned}

    def state_dict(self) -> dict[str, Any]:
        """Return the steps that are there."""
        return {"filled": self.filled} | {
            PREFIX + word: torch.from_numpy(value[: self.filled]) for word, value in self.words.items()
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Return to a state."""
        self.filled, self.words = state["filled"], {}
        kept = {word.removeprefix(PREFIX): value.numpy() for word, value in state.items() if word.startswith(PREFIX)}
        self._make_room({word: value[0] for word, value in kept.items()})
        for word, value in kept.items():
            self.words[word][: self.filled] = value


class RewardScale:
    """Divides rewards by the standard deviation of the discounted returns so far (Engstrom et al., 2020)."""

    def __init__(self, count: int, discount: float) -> None:
        self.discount, self.returns = discount, np.zeros(count)
        self.number, self.mean, self.squares = 0, 0.0, 0.0  # of the returns seen: how many, and their spread about the mean

    def __call__(self, reward: np.ndarray, ended: np.ndarray) -> np.ndarray:
        """Count rewards (N,), and return them in such units; `ended` says where an episode ends with them."""
        self.returns = self.returns * self.discount + reward
        for value in self.returns.tolist():  # Welford's update
            self.number += 1
            apart = value - self.mean
            self.mean += apart / self.number
            self.squares += apart * (value - self.mean)
        self.returns[ended] = 0
        deviation = np.sqrt(self.squares / self.number + 1e-8)
        return np.clip(reward / deviation, -LARGEST_REWARD, LARGEST_REWARD)

    def state_dict(self) -> dict[str, Any]:
        """Return the statistics as JSON values."""
        return {"number": self.number, "mean": self.mean, "squares": self.squares, "returns": self.returns.tolist()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Return to a state."""
        self.number, self.mean, self.squares = state["number"], state["mean"], state["squares"]
        self.returns = np.array(state["returns"])
