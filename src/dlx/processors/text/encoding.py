"""Batches of texts: codes cut to a length and padded, and how many were cut."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from dlx.core import Batch
from dlx.processors.text.tokenizer import PADDING, Tokenizer

log = logging.getLogger("dlx")


class Encoder:
    """Encodes texts by a tokenizer, at most `max_length` pieces of each; it tells once that texts were cut."""

    def __init__(self, tokenizer: Tokenizer, max_length: int) -> None:
        self.tokenizer, self.max_length = tokenizer, max_length
        self.cut = 0  # texts that were longer, until now
        self.texts: list[str] = []  # of the last batch

    def batch(self, texts: list[str]) -> Batch:
        """Return `input` int64 (B, L), padded with 0, and `length` int64 (B,)."""
        self.texts = texts
        codes, cut = self.codes(texts)
        if cut and not self.cut:
            log.warning("texts of more than %s pieces are cut: %s of the first %s", self.max_length, cut, len(texts))
        self.cut += cut
        return {"input": padded(codes), "length": torch.tensor([len(one) for one in codes])}

    def codes(self, texts: Iterable[str]) -> tuple[list[list[int]], int]:
        """Return the codes of texts, and how many of them were cut."""
        whole = [self.tokenizer.encode(text) for text in texts]
        return [codes[: self.max_length] for codes in whole], sum(len(codes) > self.max_length for codes in whole)

    def describe(self) -> str:
        """Say what texts are cut into."""
        kind = f"{self.tokenizer.kind}{', in lower case' if self.tokenizer.lowercase else ''}"
        return f"text, up to {self.max_length:,} {kind}; {self.tokenizer.size:,} codes"


def padded(codes: Sequence[Sequence[int]]) -> Tensor:
    """Lay lists of codes out as int64 (B, L), padded at the end to the longest."""
    longest = max((len(one) for one in codes), default=0)
    return torch.tensor([[*one, *[PADDING] * (longest - len(one))] for one in codes], dtype=torch.int64)
