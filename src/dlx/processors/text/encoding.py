"""Batches of texts: codes cut to a length and padded, and how many were cut."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Sequence

import torch
from torch import Tensor

from dlx.core import Batch
from dlx.processors.tokenizer import BEGIN, END, PADDING, Tokenizer

log = logging.getLogger("dlx")


class Encoder:
    """Encodes texts by a tokenizer, at most `max_length` pieces of each; it tells once that texts were cut.

    `lowercase` is for texts alone, beside what the tokenizer itself does.
    """

    def __init__(self, tokenizer: Tokenizer, max_length: int, lowercase: bool = False) -> None:
        self.tokenizer, self.max_length, self.lowercase = tokenizer, max_length, lowercase
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
        whole = [self.tokenizer.encode(text.lower() if self.lowercase else text) for text in texts]
        return [codes[: self.max_length] for codes in whole], sum(len(codes) > self.max_length for codes in whole)

    def describe(self) -> str:
        """Say what texts are cut into."""
        return described(self.tokenizer, self.max_length, self.lowercase)


def described(tokenizer: Tokenizer, most: int, lowercase: bool = False) -> str:
    """Say what texts of at most so many pieces are cut into."""
    kind = f"{tokenizer.kind}{', in lower case' if lowercase or tokenizer.lowercase else ''}"
    return f"text, up to {most:,} {kind}; {tokenizer.size:,} codes"


def marked(tokenizer: Tokenizer, texts: Iterable[str], most: int) -> tuple[list[list[int]], int]:
    """Return the codes of texts between BEGIN and END, `most` with both, and how many were cut; a cut one still ends."""
    whole = [tokenizer.encode(text) for text in texts]
    return [[BEGIN, *codes[: most - 2], END] for codes in whole], sum(len(codes) > most - 2 for codes in whole)


def padded(codes: Sequence[Sequence[int]]) -> Tensor:
    """Lay lists of codes out as int64 (B, L), padded at the end to the longest."""
    longest = max((len(one) for one in codes), default=0)
    return torch.tensor([[*one, *[PADDING] * (longest - len(one))] for one in codes], dtype=torch.int64)
