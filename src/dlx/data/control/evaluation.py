"""How a policy is judged: episodes that are chosen beforehand, each played to its end."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor

from dlx.core import Act, Batch
from dlx.data.control.environment import Blueprint, Episode
from dlx.data.control.stage import Stage
from dlx.data.order import generator

SPLITS = ("val", "test")
AT_ONCE = 16  # episodes that are played side by side; the first one is played alone, since training rehearses with it


class Found(NamedTuple):
    """An episode of an evaluation by its number, and by the actions that play it again."""

    number: int
    total: float
    actions: list[np.ndarray]


class Judge:
    """Plays the episodes of a split in copies on a stage, from one place on."""

    def __init__(self, stage: Stage, blueprint: Blueprint, place: int) -> None:
        self.stage, self.blueprint, self.place = stage, blueprint, place
        self.episodes = blueprint.options.episodes
        self.split_seed = blueprint.options.split_seed
        self.found: list[Found] = []  # every episode that was played by an actor

    def numbers(self) -> list[range]:
        """Return the episodes of every batch, by number."""
        rest = range(1, self.episodes, AT_ONCE)
        return [range(1), *(range(start, min(start + AT_ONCE, self.episodes)) for start in rest)]

    def begin(self, split: str, numbers: Sequence[int]) -> np.ndarray:
        """Begin episodes, and return what is seen there."""
        places = range(self.place, self.place + len(numbers))
        return self.stage.begin(places, [(split, self.split_seed)] * len(numbers), list(numbers))["observation"]

    def first(self, split: str, count: int) -> Batch:
        """Return the first observations of some episodes, as a batch of an evaluation before anyone has acted."""
        numbers = range(min(count, self.episodes))
        return self._batch(self.begin(split, numbers), numbers, [Episode(0.0, 0, float("nan")) for _ in numbers])

    def play(self, actor: Act | None, split: str, numbers: Sequence[int]) -> Batch:
        """Play episodes, each to its own end; without an actor by random actions."""
        first = observed = self.begin(split, numbers)
        running = np.arange(len(numbers))
        found: dict[int, Episode] = {}
        acted: list[list[np.ndarray]] = [[] for _ in numbers]
        draw = generator(self.split_seed, SPLITS.index(split) if split in SPLITS else len(SPLITS), numbers[0])
        while len(running):
            seen = {"input": torch.from_numpy(observed)}
            answer = actor(seen, False) if actor else self.blueprint.actions.random(len(running), draw)
            actions = as_array(answer["action"])
            for row, action in zip(running.tolist(), actions, strict=True):
                acted[row].append(action)
            step = self.stage.step((running + self.place).tolist(), actions, again=False)
            ended = step["terminated"] | step["truncated"]
            for row in np.flatnonzero(ended).tolist():
                found[int(running[row])] = Episode(*(step[word][row].item() for word in ("total", "length", "success")))
            running, observed = running[~ended], step["observation"][~ended]
        if actor:
            self.found += [Found(number, found[row].total, acted[row]) for row, number in enumerate(numbers)]
        return self._batch(first, numbers, [found[place] for place in range(len(numbers))])

    def _batch(self, seen: np.ndarray, numbers: Sequence[int], episodes: list[Episode]) -> dict[str, Tensor]:
        success = torch.tensor([episode.success for episode in episodes])
        return {
            "input": torch.from_numpy(seen),
            "episode_return": torch.tensor([episode.total for episode in episodes], dtype=torch.float64),
            "episode_length": torch.tensor([episode.length for episode in episodes]),
            **({} if success.isnan().any() else {"success": success}),
            "index": torch.tensor(list(numbers)),
        }


def as_array(value: Any) -> np.ndarray:
    """Return what a task has answered, on the CPU."""
    return value.detach().cpu().numpy()
