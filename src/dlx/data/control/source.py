"""What all sources in environments have in common: copies to train in, episodes to be judged by, and what the log is told."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, ClassVar

import numpy as np
import torch

from dlx.core import Act, Batch, Film, Played, Processor, Source
from dlx.data.control import minari_folder
from dlx.data.control.copies import Copies, Step
from dlx.data.control.demonstration_file import packed
from dlx.data.control.environment import Blueprint, Episode
from dlx.data.control.evaluation import SPLITS, Judge, as_array
from dlx.data.control.experts import scripted
from dlx.data.control.options import EnvironmentOptions
from dlx.data.control.playing import Player, each
from dlx.data.control.stage import Here, Stage
from dlx.data.control.workers import Elsewhere
from dlx.data.order import generator
from dlx.errors import UsageError, unknown
from dlx.processors.control.processor import ControlProcessor
from dlx.storage import files

SHOWN = 4  # first observations by which a task is verified
FORMS = (OWN, MINARI) = ("dlx", "minari")  # in which episodes are written down
RANDOM, PLAYED = 1, 3  # the streams of random actions, in training and where episodes are looked at


class InEnvironment(Source):
    """Evaluates in copies of an environment, behind `count` others. Without an actor it acts at random.

    The split "train" is evaluated by those who ask for it alone, such as for a random policy's return: it is in no list.
    """

    def __init__(self, seed: int, options: EnvironmentOptions, count: int) -> None:
        self.seed, self.count = seed, count
        self.blueprint = Blueprint(options)
        self.facts: Mapping[str, Any] = self.blueprint.facts
        self.processor: Processor | None = ControlProcessor(
            self.blueprint.shape, self.blueprint.observations.pixels is not None, self.blueprint.actions.units
        )
        self.kept: dict[str, list[Batch]] = {}  # what random policies have achieved
        self.judged: dict[str, Judge] = {}  # by whom a policy was judged last, on each split

    @cached_property
    def stage(self) -> Stage:
        """Return where all copies are: here, or in worker processes."""
        options = self.blueprint.options
        return Elsewhere(options) if options.workers else Here(self.blueprint)

    @property
    def judge(self) -> Judge:
        """Return what plays evaluations, in copies behind those to train in."""
        return Judge(self.stage, self.blueprint, self.count)

    def splits(self) -> list[str]:
        """List the splits that `evaluate` knows."""
        return list(SPLITS)

    def example(self) -> Batch:
        """Return the first observations of some episodes: nothing is played for it."""
        return self.judge.first("val", SHOWN)

    def evaluate(self, actor: Act | None, split: str) -> Iterator[Batch]:
        """Yield the episodes of a split; UsageError where there is no such split."""
        if split not in (*SPLITS, "train"):
            raise UsageError(f"'{split}': {unknown('split', split, self.splits())}")
        if actor is None:
            return iter(self._at_random(split))
        judge = self.judged[split] = self.judge
        return (judge.play(actor, split, numbers) for numbers in judge.numbers())

    def play(self, actor: Act | None, count: int, seed: int, filmed: bool = False) -> Iterator[Played]:
        """Play episodes one after another, in an environment of their own."""
        draw, actions = generator(seed, PLAYED), self.blueprint.actions

        def choose(seen: np.ndarray) -> np.ndarray:
            answer = actor({"input": torch.from_numpy(seen)}, False) if actor else actions.random(1, draw)
            return as_array(answer["action"])

        return each(Player(self.blueprint, filmed), choose, ("played", seed), count)

    def expert(self) -> Act | None:
        """Return the scripted policy of its environment."""
        return scripted(self.blueprint.name, self.blueprint.observations.shape[0], self.facts.get("action_size", 0))

    def record(self, played: Iterable[Played], file: Path, form: str, about: Mapping[str, Any]) -> list[Played]:
        """Write episodes of its environment as a file of dlx or, of the form minari, a folder."""
        if form not in FORMS:
            raise UsageError(f"--format {form}: {unknown('format', form, FORMS)}")
        if os.path.lexists(file):
            raise FileExistsError(file)
        if form == MINARI:
            minari_folder.library()
        episodes = list(played)
        if form == MINARI:
            minari_folder.write(file, self.blueprint, episodes, about)
        else:
            files.create(file, packed(episodes, about))
        return episodes

    def films(self, split: str) -> Iterator[tuple[str, Film]]:
        """Yield the best and the worst episode of the last evaluation, played again by the same actions."""
        found = self.judged[split].found if split in self.judged else []
        if not found:
            return
        best, worst = max(found, key=lambda one: one.total), min(found, key=lambda one: one.total)
        player = Player(self.blueprint, filmed=True)
        try:
            for name, one in (("best_episode", best), ("worst_episode", worst))[: len({best.number, worst.number})]:
                film = player.again(one.actions, (split, self.blueprint.options.split_seed), one.number).film
                assert film
                yield name, film
        finally:
            player.close()

    def _at_random(self, split: str) -> list[Batch]:
        if split not in self.kept:
            self.kept[split] = [self.judge.play(None, split, numbers) for numbers in self.judge.numbers()]
        return self.kept[split]

    def close(self) -> None:
        """Let go of all environments."""
        if "stage" in self.__dict__:
            self.stage.close()


class EnvironmentSource(InEnvironment):
    """Trains in copies of an environment, and evaluates in others."""

    keeps_tensors: ClassVar[bool] = True
    remedy = (
        "More copies act in one go (copies); where a frame of the environment takes milliseconds, workers step the copies side "
        "by side"
    )

    def __init__(self, seed: int, options: EnvironmentOptions, count: int) -> None:
        super().__init__(seed, options, count)
        self.frames = 0  # of all copies together
        self.finished = Finished()

    @cached_property
    def copies(self) -> Copies:
        """Return the copies to train in, which evaluating does without."""
        return Copies(self.stage, self.blueprint, self.count, self.seed)

    def asked(self, actor: Act | None) -> Batch:
        """Return what to do in view of the present observations, and what the policy says of it."""
        if actor is None:
            return self.blueprint.actions.random(self.count, generator(self.seed, RANDOM, self.frames))
        return actor({"input": torch.from_numpy(self.copies.observation)}, True)

    def act(self, actions: np.ndarray) -> Step:
        """Act once in every copy, and count it."""
        step = self.copies.step(actions)
        self.frames += self.count
        for episode in step.episodes:
            self.finished.add(episode)
        return step

    def numbers(self) -> Mapping[str, float]:
        """Return the frames seen, and the means of the episodes that ended since they were last asked for."""
        return {"frames": self.frames, **self.finished.take()}

    def state_dict(self) -> dict[str, Any]:
        """Return where training is, apart from what it keeps of the past."""
        return {
            "seed": self.seed,
            "frames": self.frames,
            "finished": self.finished.state_dict(),
            **self.copies.state_dict(),
        }

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Return to a state; UsageError where it is another seed's, DlxError where the environment does not repeat itself."""
        if state["seed"] != self.seed:
            raise UsageError(f"the episodes belong to seed {state['seed']}, but the seed is {self.seed}")
        self.frames = state["frames"]
        self.finished = Finished(**state["finished"])
        self.copies.load_state_dict(state)


class Finished:
    """The episodes of training that ended since the last line of the log."""

    def __init__(self, count: int = 0, total: float = 0.0, length: int = 0, successes: float = 0.0) -> None:
        self.count, self.total, self.length, self.successes = count, total, length, successes

    def add(self, episode: Episode) -> None:
        """Count an episode."""
        self.count, self.total, self.length = self.count + 1, self.total + episode.total, self.length + episode.length
        self.successes += episode.success  # nan where the environment tells none

    def take(self) -> dict[str, float]:
        """Return the means, and begin anew."""
        if not self.count:
            return {}
        found = {"episode_return": self.total / self.count, "episode_length": self.length / self.count}
        if self.successes == self.successes:
            found["success_rate"] = self.successes / self.count
        self.__init__()  # type: ignore[misc]
        return found

    def state_dict(self) -> dict[str, Any]:
        """Return the sums as JSON values."""
        return {"count": self.count, "total": self.total, "length": self.length, "successes": self.successes}
