"""A data set whose samples differ in length: batches of like length, in an order that follows from the seed and the epoch."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from dlx.core import Act, Batch, Processor, Source
from dlx.data.order import generator, permutation
from dlx.errors import UsageError, unknown

ORDER = {"train": 0, "val": 1, "test": 2}


class Lengthy(ABC):
    """A split of samples that differ in length: `keys` int64 (N,) sorts them by it."""

    keys: Tensor

    def __len__(self) -> int:
        return len(self.keys)

    @abstractmethod
    def sides(self, key: int) -> list[int]:
        """Return the lengths, a number a side, of the samples that have this key."""

    @abstractmethod
    def batch(self, rows: Tensor, training: bool) -> Batch:
        """Return some samples as a batch."""


class LengthSource(Source):
    """Splits of samples that differ in length. A training batch has some of about the same, since padding is work for nothing.

    Every epoch the samples are permuted, sorted by length (equal ones stay in the permuted order), cut into batches, and the
    batches shuffled; the cuts fall at the same places every time. Evaluation goes from the longest to the shortest, so that
    the largest batch comes first. `most` and `steps` are the samples and the steps that a training batch has at most, padding
    counted; `evaluated` the same of evaluation.
    """

    def __init__(
        self,
        seed: int,
        data: Mapping[str, Lengthy],
        facts: Mapping[str, Any],
        processor: Processor,
        most: int,
        steps: int,
        evaluated: tuple[int, int],
    ) -> None:
        self.seed, self.data, self.facts, self.processor = seed, dict(data), facts, processor
        self.most, self.steps, self.evaluated = most, steps, evaluated
        if "train" in data:
            self.sizes = cuts(data["train"].keys.sort().values, data["train"], self.most, self.steps)
            self.batches_per_epoch = len(self.sizes)
            self.batch_sizes = tuple(sorted({max(self.sizes), min(self.sizes)}, reverse=True))
        self.epoch = self.batches = 0

    def splits(self) -> list[str]:
        """List the splits that have samples, the training split first."""
        return sorted(self.data, key=lambda split: ORDER[split])

    def train(self, actor: Act | None) -> Iterator[Batch]:
        """Yield the batches from the present position to the end of the epoch; it moves before a batch is yielded."""
        groups, epoch = self._groups(), self.epoch
        for place in range(self.batches, len(groups)):
            over = place + 1 == len(groups)
            self.epoch, self.batches = (epoch + 1, 0) if over else (epoch, place + 1)
            yield self.training_batch(groups[place], epoch, place)

    def training_batch(self, rows: Tensor, epoch: int, place: int) -> Batch:
        """Return some training samples as the batch that stands at a place of an epoch."""
        return self.data["train"].batch(rows, training=True)

    def _groups(self) -> list[Tensor]:
        samples = self.data["train"]
        order = permutation(self.seed, self.epoch, len(samples))
        ordered = order[samples.keys[order].argsort(stable=True)]
        cut = ordered.split(self.sizes)
        shuffled = torch.randperm(len(cut), generator=generator(self.seed, self.epoch, len(cut)))
        return [cut[number] for number in shuffled.tolist()]

    def evaluate(self, actor: Act | None, split: str) -> Iterator[Batch]:
        """Yield the batches of a split, the longest samples first; raises UsageError where there is no such split."""
        if split not in self.data:
            raise UsageError(f"'{split}': {unknown('split', split, self.splits())}")
        samples = self.data[split]
        keys, order = samples.keys.sort(descending=True, stable=True)
        sizes = cuts(keys, samples, *self.evaluated)
        return (samples.batch(rows, training=False) for rows in order.split(sizes))

    def state_dict(self) -> dict[str, Any]:
        """Return the seed, the epoch, and how many of its batches have been yielded."""
        return {"seed": self.seed, "epoch": self.epoch, "batches": self.batches}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Return to a position; UsageError where it is none of this data set's."""
        seed, epoch, batches = state["seed"], state["epoch"], state["batches"]
        if seed != self.seed:
            raise UsageError(f"the position in the data belongs to seed {seed}, but the seed is {self.seed}")
        count = self.batches_per_epoch or 0
        if not (isinstance(epoch, int) and isinstance(batches, int) and epoch >= 0 and 0 <= batches < count):
            raise UsageError(f"epoch {epoch}, batch {batches} is no position in {count} training batches")
        self.epoch, self.batches = epoch, batches


def cuts(keys: Tensor, samples: Lengthy, most: int, steps: int) -> list[int]:
    """Return the sizes of batches of samples in the order of their `keys`: no more than `most` of them, nor than `steps` steps.

    A batch's steps are those of its longest samples times their number; one longer than that is a batch by itself.
    """
    sizes, size, longest = list[int](), 0, [0] * len(samples.sides(0))
    distinct, counts = keys.unique_consecutive(return_counts=True)
    for key, count in zip(distinct.tolist(), counts.tolist(), strict=True):
        sides = samples.sides(key)
        while count:
            both = [max(one, other) for one, other in zip(longest, sides, strict=True)]
            room = min(most, max(steps // sum(both), 0 if size else 1)) - size
            if room <= 0:
                sizes.append(size)
                size, longest = 0, [0] * len(longest)
                continue
            taken = min(room, count)
            size, longest, count = size + taken, both, count - taken
    return [*sizes, size] if size else sizes
