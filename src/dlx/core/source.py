"""Where batches come from."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, ClassVar, Protocol

import torch
from torch import Tensor

from dlx.core.batch import Batch
from dlx.core.played import Film, Played
from dlx.core.processor import Processor
from dlx.errors import UsageError


class Act(Protocol):
    """What a source that lives in an environment asks: a batch of observations to a batch of actions."""

    def __call__(self, batch: Batch, explore: bool) -> Batch: ...


class Source(ABC):
    """Where batches come from: a data set ignores the actor, an environment asks it.

    Words that differ in length from sample to sample are padded (docs/glossary.md); lists and mappings of tensors are taken.

    A constructor may ask, by name, for three facts beside `seed`: `processor`, the one that a checkpoint keeps, which is then
    used as it is instead of fitting another; `wanted_splits`, the names of the only splits that will be asked for, so that
    files of the others need not be there (None: all); `task_target`, what the task answers with: "class", "number" or "".
    """

    facts: Mapping[str, Any]
    processor: Processor | None = None
    digests: Mapping[str, str] = {}  # of each split what tells its raw examples and their order from any others
    drawn: frozenset[str] = frozenset()  # splits that are drawn from the training split's own files
    batches_per_epoch: int | None = None  # None: there are no epochs, only steps
    batch_sizes: tuple[int, ...] = ()  # of training: the usual one, then that of an epoch's last batch if it is smaller
    same_shapes: bool = False  # whether all training batches of the usual size have the same words of the same shapes
    # Whether `state_dict` has tensors, such as a replay memory. They may be its own, which change as it goes on: whoever keeps
    # a state writes it down. Such a source is not interrupted while a batch is waited for.
    keeps_tensors: ClassVar[bool] = False
    ordered: ClassVar[bool] = False  # whether `order` tells the samples of training batches without making them
    frames_per_batch: float | None = None  # of an environment, that a training batch stands for; None: there is none
    remedy: str = (  # where training waits for its batches
        "Larger batches help (batch_size), and, where the data set has such settings, smaller images (image_size, cache_size), "
        "fewer augmentations, and a cache rather than none"
    )
    random_inputs: bool = False  # whether a sample comes otherwise each time, as under augmentation

    def to(self, device: torch.device) -> None:
        """Called once with the device that batches are used on."""

    def listen(self, interrupt: Callable[[], None]) -> None:
        """Called once with what to call now and then while a batch is waited for; it may raise."""

    def prepare(self, actor: Act | None) -> Iterator[None]:
        """Do what must come before the batches of an epoch, such as filling a memory, and yield between its pieces.

        The trainer looks for signals between the pieces. Nothing is left to do when it is called once more.
        """
        return iter(())

    @abstractmethod
    def train(self, actor: Act | None) -> Iterator[Batch]:
        """Yield the batches from the present position to the end of the epoch."""

    def hear(self, index: Tensor, feedback: Tensor) -> None:
        """Called after a step with what the task says of each sample (B,), by the batch's word `index` (`Loss.feedback`)."""

    @abstractmethod
    def evaluate(self, actor: Act | None, split: str) -> Iterator[Batch]:
        """Yield the batches of a split in their fixed order."""

    def example(self) -> Batch | None:
        """Return a batch as evaluation gives it, by which the task is verified; by default the first one of a split."""
        split = next((name for name in ("val", "train", "test") if name in self.splits()), None)
        return None if split is None else next(iter(self.evaluate(None, split)), None)

    def play(self, actor: Act | None, count: int, seed: int, filmed: bool = False) -> Iterator[Played]:
        """Play so many episodes, which follow from a seed, in an environment; without an actor by random actions.

        None of them is one that training or evaluating plays. Raises UsageError where there is no environment, and where it
        is to be filmed and cannot be.
        """
        raise UsageError("the data are no environment, so there are no episodes to play")

    def expert(self) -> Act | None:
        """Return a policy for its environment that nobody had to learn; None where there is none."""
        return None

    def record(self, played: Iterable[Played], file: Path, form: str, about: Mapping[str, Any]) -> list[Played]:
        """Write episodes into a file that is not there yet, in a form by its name, with JSON values about it; return them.

        Whatever can be refused is, before the first is played. Raises UsageError where no form of that name is known, and
        OSError.
        """
        raise UsageError("the data are no environment, so there are no episodes to write down")

    def films(self, split: str) -> Iterator[tuple[str, Film]]:
        """Yield films of what is worth watching in the last evaluation of a split, by name; nothing where there is nothing."""
        return iter(())

    def order(self) -> Iterator[Tensor]:
        """Yield the numbers of the samples of every batch that `train` would yield, and move as it does."""
        raise NotImplementedError(f"{type(self).__name__} has no order")

    def duration(self, split: str) -> float | None:
        """Return how many seconds the recordings of a split last together; None where samples are none."""
        return None

    def splits(self) -> list[str]:
        """List the splits that `evaluate` knows."""
        return ["train", "val", "test"]

    def numbers(self) -> Mapping[str, float]:
        """Return numbers of its own for the log, such as frames seen, or the returns since the last line."""
        return {}

    def state_dict(self) -> dict[str, Any]:
        """Return the position in the data as JSON values, and as tensors where `keeps_tensors` says so."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Return to a position."""

    def close(self) -> None:
        """Let go of processes and files; called once, at the end of training or evaluating."""
