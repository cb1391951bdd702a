"""Several copies of an environment to train in: where one's episode ends its next one begins at once."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import torch

from dlx.data.control.environment import Blueprint, Episode
from dlx.data.control.stage import Stage, refuse_elsewhere


class Step(NamedTuple):
    """What came of an action in each of N copies."""

    following: np.ndarray  # (N, ...) the observations that it led to, the last ones of their episodes among them
    achieved: np.ndarray  # (N, G) the goals achieved there; (N, 0) where there are no goals
    reward: np.ndarray  # float64 (N,)
    terminated: np.ndarray  # bool (N,)
    truncated: np.ndarray  # bool (N,)
    episodes: list[Episode]  # those that ended


class Copies:
    """N copies on a stage, whose episodes are seeded by the experiment's seed; `observation` (N, ...) is what is seen now."""

    def __init__(self, stage: Stage, blueprint: Blueprint, count: int, seed: int) -> None:
        self.stage, self.blueprint, self.count = stage, blueprint, count
        self.places = range(count)
        self.streams = [("train", seed, place) for place in self.places]
        self.episodes = [0] * count
        self.played: list[list[Any]] = [[] for _ in self.places]  # actions since the episodes began
        self.observation = stage.begin(self.places, self.streams, self.episodes)["observation"]

    def step(self, actions: np.ndarray) -> Step:
        """Act once in every copy."""
        answer = self.stage.step(self.places, actions, again=True)
        self.observation, ended = answer["observation"], list[Episode]()
        for played, action in zip(self.played, actions, strict=True):
            played.append(action)
        for place in (answer["terminated"] | answer["truncated"]).nonzero()[0].tolist():
            ended.append(Episode(*(answer[word][place].item() for word in ("total", "length", "success"))))
            self.episodes[place], self.played[place] = self.episodes[place] + 1, []
        return Step(answer["following"], answer["achieved"], answer["reward"], answer["terminated"], answer["truncated"], ended)

    def state_dict(self) -> dict[str, Any]:
        """Return of each copy the number of its episode and of the actions since, and as tensors the actions, and what is seen."""
        played = [action for actions in self.played for action in actions]
        state = {
            "episodes": list(self.episodes),
            "actions": [len(actions) for actions in self.played],
            "environment.observation": torch.from_numpy(self.observation),
        }
        return state | ({"environment.actions": torch.from_numpy(np.stack(played))} if played else {})

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Return to a state by playing the episodes again; raises DlxError where that leads elsewhere."""
        counts, seen = state["actions"], state["environment.observation"].numpy()
        actions = state["environment.actions"].numpy() if sum(counts) else np.zeros(0)
        played = np.split(actions, np.cumsum(counts)[:-1])
        self.episodes, self.played = list(state["episodes"]), [list(some) for some in played]
        self.observation = self.stage.go_to(self.places, self.streams, self.episodes, played)["observation"]
        refuse_elsewhere(self.observation, seen, self.blueprint.name)
