"""Texts of one of several classes, to codes and back to words."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dlx.core import Batch, Processor
from dlx.processors.targets import ClassTarget
from dlx.processors.text.lines import Line, read_texts
from dlx.processors.text.tokenizer import PADDING, Tokenizer
from dlx.registry import processors

log = logging.getLogger("dlx")


@processors("text")
class TextProcessor(Processor):
    """Encodes texts as `input` int64 (B, L), padded with 0, and `length` int64 (B,); longer ones are cut, and counted."""

    name = "text"

    def __init__(self, tokenizer: Tokenizer, max_length: int, class_names: Sequence[str]) -> None:
        self.tokenizer, self.max_length = tokenizer, max_length
        self.target = ClassTarget("label", class_names)
        self.cut = 0  # texts that were longer, until now
        self.encoded: list[str] = []

    def read(self, inputs: Iterable[str]) -> Iterator[Line]:
        """Read files of a text a line, `-` for standard input, or texts as they are."""
        return read_texts(inputs)

    def encode(self, examples: list[Line]) -> Batch:
        """Encode texts; how many were cut is told once."""
        self.encoded = [example.text for example in examples]
        codes, cut = self.codes(self.encoded)
        if cut and not self.cut:
            log.warning("texts of more than %s pieces are cut: %s of the first %s", self.max_length, cut, len(examples))
        self.cut += cut
        lengths = torch.tensor([len(one) for one in codes])
        return {"input": padded(codes), "length": lengths}

    def codes(self, texts: Iterable[str]) -> tuple[list[list[int]], int]:
        """Return the codes of texts, and how many of them were cut."""
        whole = [self.tokenizer.encode(text) for text in texts]
        return [codes[: self.max_length] for codes in whole], sum(len(codes) > self.max_length for codes in whole)

    def vocabulary(self) -> list[str]:
        """Return the pieces of texts, by code."""
        return self.tokenizer.listed()

    def decode(self, prediction: Batch) -> list[dict[str, Any]]:
        """Answer {"text": text, "label": class, "probability": {class: p}}; the texts are those of the last `encode`."""
        answers = self.target.decode(prediction)
        if len(answers) != len(self.encoded):
            return answers
        return [{"text": text} | answer for text, answer in zip(self.encoded, answers, strict=True)]

    def place(self, example: Line) -> str:
        """Return the file and the line of a text."""
        return "" if example.place == "text" else example.place

    def describe(self) -> list[str]:
        """Say what texts are cut into."""
        kind = f"{self.tokenizer.kind}{', in lower case' if self.tokenizer.lowercase else ''}"
        what = f"text, up to {self.max_length:,} {kind}; {self.tokenizer.size:,} codes"
        return [f"text   {what}", f"label  target, {self.target.describe()}"]

    def state_dict(self) -> dict[str, Any]:
        """Return the tokenizer, the longest length and the classes."""
        names = self.target.names
        return {"tokenizer": self.tokenizer.state_dict(), "max_length": self.max_length, "class_names": names}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> TextProcessor:
        """Make the processor again."""
        return cls(Tokenizer.from_state(state["tokenizer"]), state["max_length"], state["class_names"])


def padded(codes: Sequence[Sequence[int]]) -> Tensor:
    """Lay lists of codes out as int64 (B, L), padded at the end to the longest."""
    longest = max((len(one) for one in codes), default=0)
    return torch.tensor([[*one, *[PADDING] * (longest - len(one))] for one in codes], dtype=torch.int64)
