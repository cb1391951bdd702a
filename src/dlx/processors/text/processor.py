"""Texts of one of several classes, to codes and back to words."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from dlx.core import Batch
from dlx.processors.targets import ClassTarget
from dlx.processors.text.base import Texts
from dlx.processors.text.encoding import Encoder
from dlx.processors.text.lines import Line
from dlx.processors.tokenizer import WORD, Tokenizer
from dlx.processors.tokenizers import restored_tokenizer
from dlx.registry import processors


@processors("text")
class TextProcessor(Texts):
    """Encodes texts as `input` int64 (B, L), padded with 0, and `length` int64 (B,); longer ones are cut, and counted."""

    name = "text"
    has_parts = True

    def __init__(self, tokenizer: Tokenizer, max_length: int, class_names: Sequence[str]) -> None:
        self.encoder = Encoder(tokenizer, max_length)
        self.target = ClassTarget("label", class_names)

    def encode(self, examples: list[Line]) -> Batch:
        """Encode texts; how many were cut is told once."""
        return self.encoder.batch([example.text for example in examples])

    def vocabulary(self) -> list[str]:
        """Return the pieces of texts, by code."""
        return list(self.encoder.tokenizer.pieces)

    def decode(self, prediction: Batch) -> list[dict[str, Any]]:
        """Answer {"text": text, "label": class, "probability": {class: p}}; the texts are those of the last `encode`."""
        answers, texts = self.target.decode(prediction), self.encoder.texts
        if len(answers) != len(texts):
            return answers
        return [{"text": text} | answer for text, answer in zip(texts, answers, strict=True)]

    def parts(self, example: Line) -> Iterator[tuple[str, Line]]:
        """Yield the words and the single marks of a text, each with the text without it."""
        for found in WORD.finditer(example.text):
            before, after = example.text[: found.start()], example.text[found.end() :]
            one_blank = after[1:] if before.endswith(" ") and after.startswith(" ") else after
            yield found[0], Line((before + one_blank).strip(), example.place)

    def remarks(self) -> Iterator[str]:
        """Yield how many texts were cut."""
        return self.encoder.cuts.remarks()

    def describe(self) -> list[str]:
        """Say what texts are cut into."""
        return [f"text   {self.encoder.describe()}", f"label  target, {self.target.describe()}"]

    def state_dict(self) -> dict[str, Any]:
        """Return the tokenizer, the longest length and the classes."""
        tokenizer, names = self.encoder.tokenizer.state_dict(), self.target.names
        return {"tokenizer": tokenizer, "max_length": self.encoder.max_length, "class_names": names}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> TextProcessor:
        """Make the processor again."""
        return cls(restored_tokenizer(state["tokenizer"]), state["max_length"], state["class_names"])
