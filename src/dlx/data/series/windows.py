"""Windows over series: each is gathered from one array when a batch wants it, and none is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor

from dlx.core import Batch, Processor
from dlx.data.in_memory import InMemorySource


@dataclass(frozen=True)
class Layout:
    """Where series lie in the array of all (S,), int64: the first row of each, and the step at which it begins in time.

    `words` (S, T) are numbers of each series that its windows bear: `target_mean`, `target_std` and `seasonal_error`.
    """

    begins: Tensor
    steps: Tensor
    words: Mapping[str, Tensor] = field(default_factory=dict)


class Windows(InMemorySource):
    """Windows of all series, which lie one behind the other in one array.

    `values` float32 (N, V), targets first; `known` float32 (N, K) or None; `starts` of each split the first rows of its
    windows, int64. A batch has `input` (B, L, V), `target` (B, H, T) and, with columns known ahead, `known` (B, L + H, K);
    where series are scaled each by itself the words of their layout, and in evaluation `origin` (B,).
    Evaluation has every window; a smaller last batch is never left out.
    """

    def __init__(
        self,
        seed: int,
        values: Tensor,
        known: Tensor | None,
        starts: Mapping[str, Tensor],
        layout: Layout,
        facts: Mapping[str, Any],
        processor: Processor,
        *,
        batch_size: int,
        drop_last: bool,
        evaluation_batch_size: int,
    ) -> None:
        data = {split: {"start": found} for split, found in starts.items()}
        super().__init__(
            seed, data, facts, processor,
            batch_size=batch_size, drop_last=drop_last, evaluation_batch_size=evaluation_batch_size,
        )  # fmt: skip
        self.look_back, self.horizon, self.targets = facts["look_back"], facts["horizon"], facts["num_targets"]
        self.past, self.ahead = _rows(values, self.look_back), _rows(values, self.horizon)
        self.known = None if known is None else _rows(known, self.look_back + self.horizon)
        self.layout = layout
        self.widths = (values.shape[1], 0 if known is None else known.shape[1])

    def train(self, actor: Any = None) -> Iterator[Batch]:
        """Yield the batches from the present position to the end of the epoch."""
        return map(self.cut, super().train(actor))

    def _evaluate(self, words: Mapping[str, Tensor]) -> Iterator[Batch]:
        return map(self.dated, super()._evaluate(words))

    def dated(self, batch: Batch) -> Batch:
        """Gather windows, with the step at which each begins: the same for windows of several series at one time."""
        series = self.series(batch["start"])
        origin = batch["start"] - self.layout.begins[series] + self.layout.steps[series]
        return {**self.cut(batch), "origin": origin}

    def series(self, start: Tensor) -> Tensor:
        """Return the numbers of the series that rows belong to."""
        return torch.searchsorted(self.layout.begins, start, right=True) - 1

    def cut(self, batch: Batch) -> Batch:
        """Gather the windows that begin at rows `start`."""
        start = batch["start"]
        size = len(start)
        ahead = self.ahead.index_select(0, start + self.look_back).view(size, self.horizon, self.widths[0])
        words = {
            "input": self.past.index_select(0, start).view(size, self.look_back, self.widths[0]),
            "target": ahead if self.targets == self.widths[0] else ahead[..., : self.targets].contiguous(),
        }
        if self.known is not None:
            words["known"] = self.known.index_select(0, start).view(size, -1, self.widths[1])
        own = {name: numbers[self.series(start)] for name, numbers in self.layout.words.items()}
        return {**words, **own, "index": batch["index"]}


def _rows(values: Tensor, length: int) -> Tensor:
    """View an array (N, C) as overlapping rows (N - length + 1, length * C), which take no memory of their own."""
    count, width = values.shape
    return values.as_strided((max(count - length + 1, 0), length * width), (width, 1))
