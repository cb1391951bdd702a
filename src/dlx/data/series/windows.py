"""Windows over series: each is gathered from one array when a batch wants it, and none is kept."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from torch import Tensor

from dlx.core import Batch, Processor
from dlx.data.in_memory import InMemorySource


class Windows(InMemorySource):
    """Windows of all series, which lie one behind the other in one array.

    `values` float32 (N, V), targets first; `known` float32 (N, K) or None; `starts` of each split the first rows of its
    windows, int64. A batch has `input` (B, L, V), `target` (B, H, T) and, with columns known ahead, `known` (B, L + H, K).
    Evaluation has every window; a smaller last batch is never left out.
    """

    def __init__(
        self,
        seed: int,
        values: Tensor,
        known: Tensor | None,
        starts: Mapping[str, Tensor],
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
        self.widths = (values.shape[1], 0 if known is None else known.shape[1])

    def train(self, actor: Any = None) -> Iterator[Batch]:
        """Yield the batches from the present position to the end of the epoch."""
        return map(self.cut, super().train(actor))

    def _evaluate(self, words: Mapping[str, Tensor]) -> Iterator[Batch]:
        return map(self.cut, super()._evaluate(words))

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
        return {**words, "index": batch["index"]}


def _rows(values: Tensor, length: int) -> Tensor:
    """View an array (N, C) as overlapping rows (N - length + 1, length * C), which take no memory of their own."""
    count, width = values.shape
    return values.as_strided((max(count - length + 1, 0), length * width), (width, 1))
