"""Images of a memory, each kept once: the stacks that observations are, and what follows them, are put together when asked for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

PREFIX = "frames."


class Frames:
    """The newest images of the last steps of N copies, where an observation (N, stack * C, H, W) ends with the newest.

    So many steps are kept that the oldest of `rows` still has those before it. The image after a step is that of the next one,
    but after the last step of an episode and after the newest of all, where it is kept beside.
    """

    def __init__(self, rows: int, count: int, stack: int) -> None:
        self.rows, self.count, self.stack = rows + stack - 1, count, stack
        self.written = 0
        self.images = np.zeros((0, count), np.uint8)  # (rows, N, C, H, W)
        self.after = np.zeros((count,), np.uint8)  # (N, C, H, W), after the newest step
        self.last: dict[int, np.ndarray] = {}  # after the last step of an episode, by its place in `images`

    def add(self, seen: np.ndarray, following: np.ndarray, ended: np.ndarray) -> None:
        """Take in the observations of one step and those that followed, in place of the oldest."""
        newest, self.after = self._newest(seen), self._newest(following).copy()
        if not len(self.images):
            self.images = np.zeros((self.rows, *newest.shape), newest.dtype)
        row = self.written % self.rows
        self.images[row] = newest
        for copy in range(self.count):
            self.last.pop(row * self.count + copy, None)
        for copy in np.flatnonzero(ended).tolist():
            self.last[row * self.count + copy] = self.after[copy].copy()
        self.written += 1

    def _newest(self, seen: np.ndarray) -> np.ndarray:
        return seen[:, -(seen.shape[1] // self.stack) :]

    def seen(self, steps: np.ndarray, copies: np.ndarray, first: np.ndarray) -> np.ndarray:
        """Return the observations (B, ...) at steps, counted from the first one ever, of episodes that began with `first`."""
        back = range(self.stack - 1, -1, -1)
        return np.concatenate([self._at(np.maximum(steps - one, first), copies) for one in back], 1)

    def following(self, steps: np.ndarray, copies: np.ndarray, first: np.ndarray, ended: np.ndarray) -> np.ndarray:
        """Return the observations (B, ...) after steps; `ended` says where an episode ends with one."""
        newest = self._at(np.minimum(steps + 1, self.written - 1), copies)
        current = (steps == self.written - 1).nonzero()[0]
        newest[current] = self.after[copies[current]]
        for place in ended.nonzero()[0].tolist():
            newest[place] = self.last[int(steps[place] % self.rows * self.count + copies[place])]
        back = range(self.stack - 1, 0, -1)
        return np.concatenate([*(self._at(np.maximum(steps + 1 - one, first), copies) for one in back), newest], 1)

    def _at(self, steps: np.ndarray, copies: np.ndarray) -> np.ndarray:
        return self.images[steps % self.rows, copies]

    def state_dict(self) -> dict[str, Any]:
        """Return the images that are there."""
        if not self.written:
            return {}
        kept = {"images": self.images[: self.written], "after": self.after}
        if self.last:
            kept |= {"places": np.array(list(self.last)), "last": np.stack(list(self.last.values()))}
        return {PREFIX + word: torch.from_numpy(value) for word, value in kept.items()}

    def load_state_dict(self, state: Mapping[str, Any], written: int) -> None:
        """Return to a state after so many steps."""
        kept = {word.removeprefix(PREFIX): value.numpy() for word, value in state.items() if word.startswith(PREFIX)}
        self.written, self.last = written, {}
        if not written:
            return
        self.images = np.zeros((self.rows, *kept["images"].shape[1:]), kept["images"].dtype)
        self.images[: len(kept["images"])] = kept["images"]
        self.after = kept["after"].copy()
        if "places" in kept:
            self.last = dict(zip(kept["places"].tolist(), kept["last"].copy(), strict=True))
