"""How a policy is judged: episodes that are chosen beforehand, each played to its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlx.core import Act, Batch
from dlx.data.control.environment import Blueprint, Environment, Episode
from dlx.data.order import generator

SPLITS = ("val", "test")
AT_ONCE = 16  # episodes that are played side by side; the first one is played alone, since training rehearses with it


class Judge:
    """Plays the episodes of a split, in environments of its own, which are made when they are first needed."""

    def __init__(self, blueprint: Blueprint) -> None:
        self.blueprint, self.episodes = blueprint, blueprint.options.episodes
        self.split_seed = blueprint.options.split_seed
        self.environments: list[Environment] = []

    def numbers(self) -> list[range]:
        """Return the episodes of every batch, by number."""
        rest = range(1, self.episodes, AT_ONCE)
        return [range(1), *(range(start, min(start + AT_ONCE, self.episodes)) for start in rest)]

    def begun(self, split: str, numbers: Sequence[int]) -> list[Environment]:
        """Return environments at the beginnings of episodes."""
        while len(self.environments) < len(numbers):
            self.environments.append(Environment(self.blueprint))
        chosen = self.environments[: len(numbers)]
        for environment, number in zip(chosen, numbers, strict=True):
            environment.stream = (split, self.split_seed)
            environment.begin(number)
        return chosen

    def first(self, split: str, count: int) -> Batch:
        """Return the first observations of some episodes, as a batch of an evaluation before anyone has acted."""
        numbers = range(min(count, self.episodes))
        seen = np.stack([environment.observation for environment in self.begun(split, numbers)])
        return self._batch(seen, numbers, [Episode(0.0, 0, float("nan")) for _ in numbers])

    def play(self, actor: Act | None, split: str, numbers: Sequence[int]) -> Batch:
        """Play episodes, each to its own end; without an actor by random actions."""
        running = self.begun(split, numbers)
        played, seen = list(running), np.stack([environment.observation for environment in running])
        draw = generator(self.split_seed, SPLITS.index(split) if split in SPLITS else len(SPLITS), numbers[0])
        while running:
            observed = torch.from_numpy(np.stack([environment.observation for environment in running]))
            answer = actor({"input": observed}, False) if actor else self.blueprint.actions.random(len(running), draw)
            ended = [any(e.step(action)[1:]) for e, action in zip(running, as_array(answer["action"]), strict=True)]
            running = [environment for environment, end in zip(running, ended, strict=True) if not end]
        return self._batch(seen, numbers, [environment.finished() for environment in played])

    def _batch(self, seen: np.ndarray, numbers: Sequence[int], episodes: list[Episode]) -> dict[str, Tensor]:
        success = torch.tensor([episode.success for episode in episodes])
        return {
            "input": torch.from_numpy(seen),
            "episode_return": torch.tensor([episode.total for episode in episodes], dtype=torch.float64),
            "episode_length": torch.tensor([episode.length for episode in episodes]),
            **({} if success.isnan().any() else {"success": success}),
            "index": torch.tensor(list(numbers)),
        }

    def close(self) -> None:
        """Let go of the environments."""
        for environment in self.environments:
            environment.close()


def as_array(value: Any) -> np.ndarray:
    """Return what a task has answered, on the CPU."""
    return value.detach().cpu().numpy()
