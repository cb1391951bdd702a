"""Data sets whose splits lie in memory as tensors: a batch is one indexing operation."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from dlx.core import Batch, Processor, Source
from dlx.data.order import permutation
from dlx.errors import ComponentError, UsageError, unknown

SMALL = 256 * 2**20  # bytes of a split up to which a shuffled copy is made each epoch: slicing is faster than gathering


class InMemorySource(Source):
    """Splits held as tensors by their batch words: {"train": {"input": ..., "target": ...}, "val": ..., "test": ...}.

    Training batches follow `permutation(seed, epoch)`; the last batch may be smaller unless `drop_last`. Evaluation goes
    in the order of the split, `evaluation_batch_size` samples at a time (default: `batch_size`). The word `index` is added.
    Without a training split it serves evaluation only.
    """

    ordered = same_shapes = True

    def __init__(
        self,
        seed: int,
        data: Mapping[str, Mapping[str, Tensor]],
        facts: Mapping[str, Any],
        processor: Processor | None = None,
        *,
        batch_size: int,
        drop_last: bool = False,
        evaluation_batch_size: int | None = None,
    ) -> None:
        sizes = {split: {len(value) for value in words.values()} for split, words in data.items()}
        if uneven := [split for split, found in sizes.items() if len(found) != 1]:
            raise ValueError(f"the words of {', '.join(uneven)} have different lengths")
        self.data = {split: dict(words) for split, words in data.items() if sizes[split] != {0}}
        self.seed, self.facts, self.processor = seed, facts, processor
        self.batch_size, self.evaluation_batch_size = batch_size, evaluation_batch_size or batch_size
        self.size = max(sizes.get("train", {0}))
        self.least = batch_size if drop_last else 1  # samples that still make a batch
        if self.size < self.least and "train" in data:
            hint = "; use a smaller one, or drop_last: false" if self.size else ""
            raise ComponentError(f"the training split has {self.size} samples, less than a batch{hint}", ("batch_size",))
        if "train" in data:
            self.batches_per_epoch = self.size // batch_size if drop_last else -(-self.size // batch_size)
            last = 0 if drop_last else self.size % batch_size
            self.batch_sizes = tuple(size for size in (batch_size if self.size >= batch_size else 0, last) if size)
        self.epoch = self.samples = 0

    def splits(self) -> list[str]:
        """List the splits that have samples, the training split first."""
        return sorted(self.data, key=lambda split: {"train": 0, "val": 1, "test": 2}.get(split, 3))

    def train(self, actor: Any = None) -> Iterator[Batch]:
        """Yield the batches from the present position to the end of the epoch.

        The position moves before a batch is yielded: a state saved while it is in use resumes after it.
        """
        fetch = self._shuffled(permutation(self.seed, self.epoch, self.size))
        for start, stop in self._spans():
            yield fetch(start, stop)

    def order(self) -> Iterator[Tensor]:
        """Yield the samples' numbers of every batch that `train` would yield, and move as it does."""
        order = permutation(self.seed, self.epoch, self.size)
        for start, stop in self._spans():
            yield order[start:stop]

    def _spans(self) -> Iterator[tuple[int, int]]:
        start = self.samples
        while start + self.least <= self.size:
            stop = min(start + self.batch_size, self.size)
            self._move(self.epoch, stop)
            yield start, stop
            start = stop

    def _move(self, epoch: int, samples: int) -> None:
        over = samples + self.least > self.size
        self.epoch, self.samples = (epoch + 1, 0) if over else (epoch, samples)

    def _shuffled(self, order: Tensor) -> Callable[[int, int], Batch]:
        words = self.data["train"]
        if sum(value.nbytes for value in words.values()) > SMALL:
            return lambda start, stop: _gather(words, order[start:stop])
        shuffled = tuple(_gather(words, order).items())
        return lambda start, stop: {word: value[start:stop] for word, value in shuffled}

    def evaluate(self, actor: Any, split: str) -> Iterator[Batch]:
        """Yield the batches of a split in order; UsageError names the splits there are."""
        if split not in self.data:
            raise UsageError(f"'{split}': {unknown('split', split, self.splits())}")
        return self._evaluate(self.data[split])

    def _evaluate(self, words: Mapping[str, Tensor]) -> Iterator[Batch]:
        size = len(next(iter(words.values())))
        for start in range(0, size, self.evaluation_batch_size):
            stop = min(start + self.evaluation_batch_size, size)
            # Copies, since a model may work in place on what it is given.
            yield {word: value[start:stop].clone() for word, value in words.items()} | {"index": torch.arange(start, stop)}

    def state_dict(self) -> dict[str, Any]:
        """Tell the seed, the epoch, and how many of its samples have been yielded."""
        return {"seed": self.seed, "epoch": self.epoch, "samples": self.samples}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Return to a position; UsageError where it is none of this data set's."""
        seed, epoch, samples = state["seed"], state["epoch"], state["samples"]
        if seed != self.seed:
            raise UsageError(f"the position in the data belongs to seed {seed}, but the seed is {self.seed}")
        if not (isinstance(epoch, int) and isinstance(samples, int) and epoch >= 0 and 0 <= samples < self.size):
            raise UsageError(f"epoch {epoch}, sample {samples} is no position in {self.size} training samples")
        self._move(epoch, samples)


def _gather(words: Mapping[str, Tensor], index: Tensor) -> dict[str, Tensor]:
    return {word: value.index_select(0, index) for word, value in words.items()} | {"index": index}
