"""Demonstrations to learn from, and the environment that they are of to be judged in."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from torch import Tensor

from dlx.core import Act, Batch
from dlx.data.control import minari_folder
from dlx.data.control.demonstration_file import unpacked
from dlx.data.control.options import EnvironmentOptions
from dlx.data.control.source import InEnvironment
from dlx.data.in_memory import InMemorySource
from dlx.data.options import Batching
from dlx.errors import ComponentError
from dlx.registry import sources
from dlx.registry.types import DataPath


@sources("demonstrations")
class Demonstrations(InEnvironment):
    """Pairs of an observation and the action that was taken, as behaviour_cloning learns.

    `file` is one of `dlx record`, or the folder of a data set of Minari (extra: minari). An epoch is every step of every
    episode in it once. Validation and test are episodes that the policy plays in the
    environment, which must show what the file holds: what was set when it was recorded (frame_stack, resize, ...) is set here.
    """

    keeps_tensors: ClassVar[bool] = False
    ordered: ClassVar[bool] = True

    def __init__(
        self,
        seed: int,
        wanted_splits: frozenset[str] | None = None,
        *,
        options: EnvironmentOptions,
        batching: Batching,
        file: DataPath,
    ) -> None:
        super().__init__(seed, options, 0)
        judged = json.dumps([options.environment, options.settings, options.split_seed], sort_keys=True)
        self.digests = dict.fromkeys(self.splits(), hashlib.sha256(judged.encode()).hexdigest())
        self.memory: InMemorySource | None = None
        if wanted_splits is None:  # else it is to be judged only, and what it learned from need not be there
            words = self._fitting(file)
            self.digests["train"] = _digest(words)
            self.memory = InMemorySource(
                seed, {"train": words}, self.facts, batch_size=batching.batch_size, drop_last=batching.drop_last
            )
            self.batches_per_epoch, self.batch_sizes = self.memory.batches_per_epoch, self.memory.batch_sizes

    def _fitting(self, file: str) -> dict[str, Tensor]:
        """Read a file; raises ComponentError where it is of another environment."""
        words, about = (minari_folder.read(file, self.blueprint), {}) if os.path.isdir(file) else unpacked(file)
        seen, action, actions = words["observation"], words["action"], self.blueprint.actions
        kind = torch.uint8 if self.blueprint.observations.pixels else torch.float32
        if tuple(seen.shape[1:]) != self.blueprint.shape or seen.dtype != kind:
            told = f"{about.get('data', {})}" if about else "another environment"
            shapes = f"observations {list(seen.shape[1:])}, but the environment shows {list(self.blueprint.shape)}"
            raise ComponentError(f"{file}: has {shapes}; it was recorded in {told}", ("file",))
        if actions.is_discrete:
            fits = action.dtype == torch.int64 and action.ndim == 1 and bool(((action >= 0) & (action < actions.count)).all())
        else:
            fits = action.dtype == torch.float32 and tuple(action.shape[1:]) == (actions.size,)
        if not fits:
            raise ComponentError(f"{file}: has actions that the environment does not take", ("file",))
        return {"input": seen, "action": action}

    def _training(self) -> InMemorySource:
        assert self.memory, "it was built to be judged only"
        return self.memory

    def train(self, actor: Act | None) -> Iterator[Batch]:
        """Yield the batches from the present position to the end of the epoch."""
        return self._training().train(actor)

    def order(self) -> Iterator[Tensor]:
        """Yield the numbers of the steps of every batch, and move as `train` does."""
        return self._training().order()

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the file."""
        return self._training().state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Return to a position."""
        self._training().load_state_dict(state)


def _digest(words: Mapping[str, Tensor]) -> str:
    digest = hashlib.sha256()
    for value in words.values():
        digest.update(value.numpy().data)
    return digest.hexdigest()
