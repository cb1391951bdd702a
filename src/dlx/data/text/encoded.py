"""The codes of a split's texts, one after the other, and batches of them."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dlx.core import Batch
from dlx.data.by_length import Lengthy

SHIFT = 2**20  # more pieces than any text has: two lengths in one number


class Codes:
    """Lists of codes in one tensor, and where each begins."""

    def __init__(self, codes: Sequence[Sequence[int]]) -> None:
        lengths = np.array([len(one) for one in codes], np.int64)
        flat = np.fromiter((code for one in codes for code in one), np.int32, int(lengths.sum()))
        self.codes, self.lengths = torch.from_numpy(flat), torch.from_numpy(lengths)
        self.starts = self.lengths.cumsum(0) - self.lengths

    def padded(self, rows: Tensor, filling: int) -> Tensor:
        """Return some lists as int64 (B, L), filled up at the end to the longest of them."""
        lengths = self.lengths[rows]
        steps = torch.arange(int(lengths.max()))
        places = (self.starts[rows][:, None] + steps).clamp(max=len(self.codes) - 1)
        return torch.where(steps < lengths[:, None], self.codes[places], filling).long()


class EncodedTexts(Lengthy):
    """Texts, with a target (N,) each or, for language modelling, without."""

    def __init__(self, codes: Sequence[Sequence[int]], targets: Tensor | None = None) -> None:
        self.codes, self.targets = Codes(codes), targets
        self.keys = self.codes.lengths

    @property
    def classes(self) -> Tensor:
        """Return the targets; there must be some."""
        assert self.targets is not None
        return self.targets

    def sides(self, key: int) -> list[int]:
        return [key]

    def batch(self, rows: Tensor, training: bool) -> Batch:
        words = {"input": self.codes.padded(rows, 0), "length": self.codes.lengths[rows], "index": rows}
        return words if self.targets is None else words | {"target": self.targets[rows]}


class EncodedPairs(Lengthy):
    """Texts with an answer each, sorted by the side that is longer on the whole, then by the other.

    In evaluation a batch has the texts as they are written, `text`, and all right answers of each, `reference`.
    """

    def __init__(
        self,
        sources: Sequence[Sequence[int]],
        targets: Sequence[Sequence[int]],
        texts: Sequence[str],
        references: Sequence[list[str]],
    ) -> None:
        self.sources, self.targets, self.texts, self.references = Codes(sources), Codes(targets), texts, references
        self.turned = len(self.targets.codes) > len(self.sources.codes)
        one, other = self.sources.lengths, self.targets.lengths
        self.keys = other * SHIFT + one if self.turned else one * SHIFT + other

    def sides(self, key: int) -> list[int]:
        return [key // SHIFT, key % SHIFT]

    def batch(self, rows: Tensor, training: bool) -> Batch:
        words = {
            "input": self.sources.padded(rows, 0), "length": self.sources.lengths[rows],
            "target": self.targets.padded(rows, -1), "index": rows,
        }  # fmt: skip
        if training:
            return words
        numbers = rows.tolist()
        return words | {"text": [self.texts[n] for n in numbers], "reference": [self.references[n] for n in numbers]}
