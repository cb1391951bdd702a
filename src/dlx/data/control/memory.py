"""A memory of the last frames, in arrays that are made once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from dlx.data.control.frames import Frames

PREFIX = "memory."
OBSERVATIONS = ("input", "next_input")
RUNNING = -1  # as the last step of an episode that has not ended yet


class Memory:
    """The last frames of N copies: a row is one step of all of them, and a slot one frame: row * N + copy.

    Words are `input`, `action`, `reward`, `terminated`, `ended`, `next_input`, and what else is given; `last` is the step, counted
    from the first one ever, with which the frame's episode ended. Observations that are a stack of images keep each image
    once: `first`, the step with which the episode began, is then in the place of `input` and `next_input`.
    """

    def __init__(self, capacity: int, count: int, stack: int | None = None) -> None:
        self.rows, self.count = capacity // count, count
        self.frames = None if stack is None else Frames(self.rows, count, stack)
        self.written = 0  # steps ever
        self.began = np.zeros(count, np.int64)  # the steps with which the running episodes began
        self.words: dict[str, np.ndarray] = {}  # (rows, N, ...)
        self.flat: dict[str, np.ndarray] = {}  # the same by slots

    def __len__(self) -> int:
        return min(self.written, self.rows) * self.count

    def add(self, words: Mapping[str, np.ndarray]) -> np.ndarray:
        """Take in one step of all copies, by words (N, ...), in place of the oldest; return its slots (N,)."""
        if self.frames:
            self.frames.add(words["input"], words["next_input"], words["ended"])
            words = {word: value for word, value in words.items() if word not in OBSERVATIONS} | {"first": self.began}
        if not self.words:
            self._make_room({**words, "last": self.began})
        row = self.written % self.rows
        for word, value in words.items():
            self.words[word][row] = value
        self.words["last"][row] = RUNNING
        for copy in np.flatnonzero(words["ended"]):
            steps = np.arange(max(self.began[copy], self.written - self.rows + 1), self.written + 1)
            self.words["last"][steps % self.rows, copy] = self.written
            self.began[copy] = self.written + 1
        self.written += 1
        return np.arange(row * self.count, (row + 1) * self.count)

    def _make_room(self, words: Mapping[str, np.ndarray]) -> None:
        self.words = {word: np.zeros((self.rows, *value.shape), value.dtype) for word, value in words.items()}
        self.flat = {word: value.reshape(-1, *value.shape[2:]) for word, value in self.words.items()}

    def steps(self, slots: np.ndarray) -> np.ndarray:
        """Return the steps, counted from the first one ever, that slots hold."""
        newest = self.written - 1
        return newest - (newest - slots // self.count) % self.rows

    def slots(self, steps: np.ndarray, copies: np.ndarray) -> np.ndarray:
        """Return the slots of steps of copies."""
        return steps % self.rows * self.count + copies

    def transitions(self, slots: np.ndarray, most: int, discount: float) -> dict[str, np.ndarray]:
        """Return frames with the discounted sum of the rewards of up to `most` steps, and what follows them.

        Fewer steps are summed where the episode ends or where no more are known yet.
        """
        flat, final, factor = self.flat, slots, np.full(len(slots), discount)
        reward = flat["reward"].take(slots).astype(np.float64)
        goes_on = ~flat["ended"].take(slots)
        step, copies = self.steps(slots), slots % self.count
        for ahead in range(1, most):
            goes_on &= step + ahead < self.written
            following = self.slots(step + ahead, copies)
            reward += np.where(goes_on, discount**ahead * flat["reward"].take(following), 0)
            final, factor = np.where(goes_on, following, final), np.where(goes_on, discount ** (ahead + 1), factor)
            goes_on &= ~flat["ended"].take(following)
        seen, following = self.observations(slots, final)
        return {
            "input": seen,
            "action": flat["action"].take(slots, 0),
            "reward": reward.astype(np.float32),
            "discount": (factor * ~flat["terminated"].take(final)).astype(np.float32),
            "next_input": following,
        }

    def observations(self, slots: np.ndarray, final: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return what is seen at some slots, and what follows the steps of others, which are of the same episodes."""
        flat, copies = self.flat, slots % self.count
        if not self.frames:
            return flat["input"].take(slots, 0), flat["next_input"].take(final, 0)
        first, ended = flat["first"].take(slots), flat["ended"].take(final)
        following = self.frames.following(self.steps(final), copies, first, ended)
        return self.frames.seen(self.steps(slots), copies, first), following

    def state_dict(self, *, whole: bool) -> dict[str, Any]:
        """Return the frames that are there, or, unless `whole`, none of them."""
        if not whole:
            return {}
        there = {PREFIX + word: torch.from_numpy(value[: len(self) // self.count]) for word, value in self.words.items()}
        seen = self.frames.state_dict() if self.frames else {}
        return {"written": self.written, "began": self.began.tolist(), **there, **seen}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Return to a state."""
        self.written, self.began = state["written"], np.array(state["began"], np.int64)
        kept = {word.removeprefix(PREFIX): value.numpy() for word, value in state.items() if word.startswith(PREFIX)}
        if self.frames:
            self.frames.load_state_dict(state, self.written)
        self._make_room({word: value[0] for word, value in kept.items()})
        for word, value in kept.items():
            self.words[word][: len(value)] = value
