"""A data set of encoded texts: batches of like length, in an order that follows from the seed and the epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlx.core import Act, Batch, Processor, Source
from dlx.data.order import generator, permutation
from dlx.errors import UsageError, unknown

EVALUATION_BATCH = 256
ORDER = {"train": 0, "val": 1, "test": 2}


class EncodedTexts:
    """The codes of a split's texts one after the other, where each begins, and the targets (N,)."""

    def __init__(self, codes: Sequence[Sequence[int]], targets: Tensor) -> None:
        lengths = np.array([len(one) for one in codes], np.int64)
        self.codes = torch.from_numpy(np.concatenate([np.asarray(one, np.int32) for one in codes]))
        self.lengths = torch.from_numpy(lengths)
        self.starts = self.lengths.cumsum(0) - self.lengths
        self.targets = targets

    def __len__(self) -> int:
        return len(self.targets)

    def batch(self, rows: Tensor) -> Batch:
        """Return some texts, padded with 0 to the longest of them."""
        lengths = self.lengths[rows]
        steps = torch.arange(int(lengths.max()))
        inside = steps < lengths[:, None]
        places = (self.starts[rows][:, None] + steps).clamp(max=len(self.codes) - 1)
        codes = torch.where(inside, self.codes[places], 0).long()
        return {"input": codes, "length": lengths, "target": self.targets[rows], "index": rows}


class TextSource(Source):
    """Splits of encoded texts. A training batch has texts of about the same length, since padding is work for nothing.

    Every epoch the texts are permuted, sorted by length (equal ones stay in the permuted order), cut into batches, and the
    batches shuffled. Evaluation goes from the longest to the shortest, so that the largest batch comes first.
    """

    def __init__(
        self, seed: int, data: Mapping[str, EncodedTexts], facts: Mapping[str, Any], processor: Processor, batch_size: int
    ) -> None:
        self.seed, self.data, self.facts, self.processor = seed, dict(data), facts, processor
        self.batch_size = batch_size
        if "train" in data:
            size = len(data["train"])
            self.batches_per_epoch = -(-size // batch_size)
            self.batch_sizes = tuple(n for n in (min(batch_size, size), size % batch_size if size > batch_size else 0) if n)
        self.epoch = self.batches = 0

    def splits(self) -> list[str]:
        """List the splits that have texts, the training split first."""
        return sorted(self.data, key=lambda split: ORDER[split])

    def train(self, actor: Act | None) -> Iterator[Batch]:
        """Yield the batches from the present position to the end of the epoch; it moves before a batch is yielded."""
        texts, groups = self.data["train"], self._groups()
        while self.batches < len(groups):
            group = groups[self.batches]
            self.batches += 1
            if self.batches == len(groups):
                self.epoch, self.batches = self.epoch + 1, 0
                yield texts.batch(group)
                return
            yield texts.batch(group)

    def _groups(self) -> list[Tensor]:
        texts = self.data["train"]
        order = permutation(self.seed, self.epoch, len(texts))
        ordered = order[texts.lengths[order].argsort(stable=True)]
        cut = list(ordered.split(self.batch_size))
        shuffled = torch.randperm(len(cut), generator=generator(self.seed, self.epoch, len(cut)))
        return [cut[number] for number in shuffled.tolist()]

    def evaluate(self, actor: Act | None, split: str) -> Iterator[Batch]:
        """Yield the batches of a split, the longest texts first; raises UsageError where there is no such split."""
        if split not in self.data:
            raise UsageError(f"'{split}': {unknown('split', split, self.splits())}")
        texts = self.data[split]
        order = texts.lengths.argsort(descending=True, stable=True)
        return (texts.batch(rows) for rows in order.split(max(EVALUATION_BATCH, self.batch_size)))

    def state_dict(self) -> dict[str, Any]:
        """Return the seed, the epoch, and how many of its batches have been yielded."""
        return {"seed": self.seed, "epoch": self.epoch, "batches": self.batches}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Return to a position."""
        self.seed, self.epoch, self.batches = state["seed"], state["epoch"], state["batches"]
