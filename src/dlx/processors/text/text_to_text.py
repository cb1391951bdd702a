"""Texts to codes, and the codes of an answer back to a text."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from dlx.core import Batch
from dlx.processors.text.base import Texts
from dlx.processors.text.encoding import Encoder, marked
from dlx.processors.text.lines import Line
from dlx.processors.tokenizer import Tokenizer
from dlx.processors.tokenizers import restored_tokenizer
from dlx.registry import processors


@processors("text_to_text")
class TextToTextProcessor(Texts):
    """Encodes texts as `input` int64 (B, L), padded with 0, and `length` int64 (B,), and decodes codes of `output` (B, T).

    An answer is written between BEGIN and END, which `max_target_length` counts. Source and target share one tokenizer or
    have one each.
    """

    name = "text_to_text"
    line = "output"

    def __init__(
        self, source: Tokenizer, target: Tokenizer, max_length: int, max_target_length: int, lowercase_source: bool = False
    ) -> None:
        self.source, self.target = Encoder(source, max_length, lowercase_source), target
        self.max_target_length = max_target_length

    @property
    def shared(self) -> bool:
        """Tell whether a code is the same piece in source and target."""
        return self.source.tokenizer is self.target

    def encode(self, examples: list[Line]) -> Batch:
        """Encode texts; how many were cut is told once."""
        return {**self.source.batch([example.text for example in examples]), "text": [one.text for one in examples]}

    def targets(self, texts: Iterable[str]) -> tuple[list[list[int]], int]:
        """Return the codes of answers with BEGIN and END, and how many of them were cut; a cut one still ends."""
        return marked(self.target, texts, self.max_target_length)

    def detokenize(self, codes: Iterable[int]) -> str:
        """Return the text of an answer's codes, up to the first END."""
        return self.target.decode(codes).strip()

    def vocabulary(self) -> list[str]:
        """Return the pieces of source texts, by code."""
        return list(self.source.tokenizer.pieces)

    def target_vocabulary(self) -> list[str]:
        """Return the pieces of answers, by code."""
        return list(self.target.pieces)

    def blank(self, example: Line) -> dict[str, Any] | None:
        """Answer a blank line by a blank line."""
        return None if example.text.strip() else {"text": example.text, "output": ""}

    def decode(self, prediction: Batch) -> list[dict[str, Any]]:
        """Answer {"output": text}, with the text that was given where it is known."""
        outputs = [self.detokenize(codes) for codes in prediction["output"].tolist()]
        texts = self.source.texts
        if len(texts) != len(outputs):
            return [{"output": output} for output in outputs]
        return [{"text": text, "output": output} for text, output in zip(texts, outputs, strict=True)]

    def remarks(self) -> Iterator[str]:
        """Yield how many texts were cut."""
        return self.source.cuts.remarks()

    def describe(self) -> list[str]:
        """Say what texts are cut into."""
        one = self.source.describe()
        other = "the same pieces" if self.shared else f"{self.target.size:,} {self.target.kind} codes"
        return [f"source  {one}", f"target  text, up to {self.max_target_length:,} codes with begin and end; {other}"]

    def state_dict(self) -> dict[str, Any]:
        """Return the tokenizers and the longest lengths."""
        return {
            "source": self.source.tokenizer.state_dict(),
            "target": None if self.shared else self.target.state_dict(),
            "max_length": self.source.max_length,
            "max_target_length": self.max_target_length,
            "lowercase_source": self.source.lowercase,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> TextToTextProcessor:
        """Make the processor again."""
        source = restored_tokenizer(state["source"])
        target = source if state["target"] is None else restored_tokenizer(state["target"])
        return cls(source, target, state["max_length"], state["max_target_length"], state.get("lowercase_source", False))
