"""A data set of encoded texts: batches of like length, in an order that follows from the seed and the epoch."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

import torch
from torch import Tensor

from dlx.core import Act, Batch, Processor, Source
from dlx.data.order import generator, permutation
from dlx.data.text.encoded import Encoded
from dlx.data.text.options import TextBatching
from dlx.errors import UsageError, unknown

EVALUATION_BATCH, EVALUATION_TOKENS = 256, 8192
BATCH = 32
ORDER = {"train": 0, "val": 1, "test": 2}


class TextSource(Source):
    """Splits of encoded texts. A training batch has texts of about the same length, since padding is work for nothing.

    Every epoch the texts are permuted, sorted by length (equal ones stay in the permuted order), cut into batches, and the
    batches shuffled; the cuts fall at the same places every time. Evaluation goes from the longest to the shortest, so that
    the largest batch comes first.
    """

    def __init__(
        self, seed: int, data: Mapping[str, Encoded], facts: Mapping[str, Any], processor: Processor, batching: TextBatching
    ) -> None:
        self.seed, self.data, self.facts, self.processor = seed, dict(data), facts, processor
        free = batching.tokens_per_batch is not None
        self.most, self.tokens = batching.batch_size or (2**40 if free else BATCH), batching.tokens_per_batch or 2**40
        if "train" in data:
            self.sizes = cuts(data["train"].keys.sort().values, data["train"], self.most, self.tokens)
            self.batches_per_epoch = len(self.sizes)
            self.batch_sizes = tuple(sorted({max(self.sizes), min(self.sizes)}, reverse=True))
        self.epoch = self.batches = 0

    def splits(self) -> list[str]:
        """List the splits that have texts, the training split first."""
        return sorted(self.data, key=lambda split: ORDER[split])

    def train(self, actor: Act | None) -> Iterator[Batch]:
        """Yield the batches from the present position to the end of the epoch; it moves before a batch is yielded."""
        texts, groups = self.data["train"], self._groups()
        for place in range(self.batches, len(groups)):
            over = place + 1 == len(groups)
            self.epoch, self.batches = (self.epoch + 1, 0) if over else (self.epoch, place + 1)
            yield texts.batch(groups[place], training=True)

    def _groups(self) -> list[Tensor]:
        texts = self.data["train"]
        order = permutation(self.seed, self.epoch, len(texts))
        ordered = order[texts.keys[order].argsort(stable=True)]
        cut = ordered.split(self.sizes)
        shuffled = torch.randperm(len(cut), generator=generator(self.seed, self.epoch, len(cut)))
        return [cut[number] for number in shuffled.tolist()]

    def evaluate(self, actor: Act | None, split: str) -> Iterator[Batch]:
        """Yield the batches of a split, the longest texts first; raises UsageError where there is no such split."""
        if split not in self.data:
            raise UsageError(f"'{split}': {unknown('split', split, self.splits())}")
        texts = self.data[split]
        keys, order = texts.keys.sort(descending=True, stable=True)
        sizes = cuts(keys, texts, EVALUATION_BATCH, EVALUATION_TOKENS)
        return (texts.batch(rows, training=False) for rows in order.split(sizes))

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


def cuts(keys: Tensor, texts: Encoded, most: int, tokens: int) -> list[int]:
    """Return the sizes of batches of texts in the order of their `keys`: no more than `most` texts, nor than `tokens` pieces.

    A batch's pieces are those of its longest texts times their number; a text longer than that is a batch by itself.
    """
    sizes, size, longest = list[int](), 0, [0] * len(texts.sides(0))
    distinct, counts = keys.unique_consecutive(return_counts=True)
    for key, count in zip(distinct.tolist(), counts.tolist(), strict=True):
        sides = texts.sides(key)
        while count:
            both = [max(one, other) for one, other in zip(longest, sides, strict=True)]
            room = min(most, max(tokens // sum(both), 0 if size else 1)) - size
            if room <= 0:
                sizes.append(size)
                size, longest = 0, [0] * len(longest)
                continue
            taken = min(room, count)
            size, longest, count = size + taken, both, count - taken
    return [*sizes, size] if size else sizes
