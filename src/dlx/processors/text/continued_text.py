"""Texts to codes of which each is learned from those before it, and the codes of a text that was gone on with to words."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

import torch

from dlx.core import Batch
from dlx.processors.text.base import Texts
from dlx.processors.text.encoding import Cuts, described, marked, padded
from dlx.processors.text.lines import Line
from dlx.processors.tokenizer import BEGIN, Tokenizer
from dlx.processors.tokenizers import restored_tokenizer
from dlx.registry import processors


@processors("continued_text")
class ContinuedTextProcessor(Texts):
    """Encodes beginnings of texts as `input` int64 (B, L), BEGIN first and padded with 0, and `length` int64 (B,).

    Whole texts, to learn from, have END behind them; `max_length` counts both marks. Of a longer beginning the last pieces are
    kept, since it is from there that the text goes on. Decodes codes of `continued` (B, T).
    """

    name = "continued_text"
    line = "output"

    def __init__(self, tokenizer: Tokenizer, max_length: int) -> None:
        self.tokenizer, self.max_length = tokenizer, max_length
        self.cuts = Cuts(f"of texts of more than {max_length - 1} pieces only the last are read")
        self.texts: list[str] = []  # of the last batch

    def whole(self, texts: Iterable[str]) -> tuple[list[list[int]], int]:
        """Return the codes of whole texts with BEGIN and END, and how many of them were cut; a cut one still ends."""
        return marked(self.tokenizer, texts, self.max_length)

    def encode(self, examples: list[Line]) -> Batch:
        """Encode beginnings, of which an empty one is BEGIN alone; that some were cut is told once."""
        self.texts, most = [example.text for example in examples], self.max_length - 1
        codes = [self.tokenizer.encode(text) if text.strip() else [] for text in self.texts]
        self.cuts.add(sum(len(one) > most for one in codes), len(codes))
        kept = [[BEGIN, *one[-most:]] for one in codes]
        return {"input": padded(kept), "length": torch.tensor([len(one) for one in kept])}

    def remarks(self) -> Iterator[str]:
        """Yield how many beginnings were cut."""
        return self.cuts.remarks()

    def detokenize(self, codes: Iterable[int]) -> str:
        """Return the text of codes, up to the first END."""
        return self.tokenizer.decode(codes).strip()

    def vocabulary(self) -> list[str]:
        """Return the pieces of texts, by code."""
        return list(self.tokenizer.pieces)

    def blank(self, example: Line) -> dict[str, Any] | None:
        """Answer a blank line by a blank line; "" as an argument asks for a text from its beginning."""
        return None if example.text.strip() or example.place == "text" else {"text": example.text, "output": ""}

    def decode(self, prediction: Batch) -> list[dict[str, Any]]:
        """Answer {"output": the text as it went on}, with the beginning that was given where it is known."""
        outputs = [self.detokenize(codes) for codes in prediction["continued"].tolist()]
        if len(self.texts) != len(outputs):
            return [{"output": output} for output in outputs]
        return [{"text": text, "output": output} for text, output in zip(self.texts, outputs, strict=True)]

    def describe(self) -> list[str]:
        """Say what texts are cut into."""
        return [f"text   {described(self.tokenizer, self.max_length)}, with begin and end"]

    def state_dict(self) -> dict[str, Any]:
        """Return the tokenizer and the longest length."""
        return {"tokenizer": self.tokenizer.state_dict(), "max_length": self.max_length}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ContinuedTextProcessor:
        """Make the processor again."""
        return cls(restored_tokenizer(state["tokenizer"]), state["max_length"])
