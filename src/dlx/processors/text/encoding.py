"""Batches of texts: codes cut to a length and padded, and how many were cut."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Sequence

import torch
from torch import Tensor

from dlx.core import Batch
from dlx.processors.tokenizer import BEGIN, END, PADDING, Tokenizer

log = logging.getLogger("dlx")


class Cuts:
    """Counts the texts that are cut, and tells so when the first are, and in the end."""

    def __init__(self, told: str) -> None:
        self.told, self.cut, self.given, self.first = told, 0, 0, 0

    def add(self, cut: int, given: int) -> None:
        """Count some texts, and how many of them were cut."""
        self.cut, self.given = self.cut + cut, self.given + given
        if cut and not self.first:
            self.first = self.given
            log.warning("%s: %s of the first %s", self.told, self.cut, self.given)

    def remarks(self) -> Iterator[str]:
        """Yield how many were cut in all, where more texts came after the first ones."""
        if self.first < self.given and self.cut:
            yield f"{self.told}: {self.cut:,} of {self.given:,} in all"


class Encoder:
    """Encodes texts by a tokenizer, at most `max_length` pieces of each, and counts those that were longer.

    `lowercase` is for texts alone, beside what the tokenizer itself does.
    """

    def __init__(self, tokenizer: Tokenizer, max_length: int, lowercase: bool = False) -> None:
        self.tokenizer, self.max_length, self.lowercase = tokenizer, max_length, lowercase
        self.cuts = Cuts(f"texts of more than {max_length} pieces are cut")
        self.texts: list[str] = []  # of the last batch

    def batch(self, texts: list[str]) -> Batch:
        """Return `input` int64 (B, L), padded with 0, and `length` int64 (B,)."""
        self.texts = texts
        codes, cut = self.codes(texts)
        self.cuts.add(cut, len(texts))
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
    case = "in lower case" if lowercase else tokenizer.case
    return f"text, up to {most:,} {tokenizer.kind}{', ' * bool(case)}{case}; {tokenizer.size:,} codes"


def marked(tokenizer: Tokenizer, texts: Iterable[str], most: int) -> tuple[list[list[int]], int]:
    """Return the codes of texts between BEGIN and END, `most` with both, and how many were cut; a cut one still ends."""
    whole = [tokenizer.encode(text) for text in texts]
    return [[BEGIN, *codes[: most - 2], END] for codes in whole], sum(len(codes) > most - 2 for codes in whole)


def padded(codes: Sequence[Sequence[int]]) -> Tensor:
    """Lay lists of codes out as int64 (B, L), padded at the end to the longest."""
    longest = max((len(one) for one in codes), default=0)
    return torch.tensor([[*one, *[PADDING] * (longest - len(one))] for one in codes], dtype=torch.int64)
