"""Texts to codes: words, characters or bytes."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Literal

Kind = Literal["words", "characters", "bytes"]
PADDING, UNKNOWN, BEGIN, END = range(4)  # codes that stand for no piece of a text
SPECIAL = 4
WORD = re.compile(r"\w+(?:['’]\w+)*|[^\w\s]")  # a word with its apostrophes, or a single mark


class Tokenizer:
    """Cuts texts into pieces and numbers them; codes below SPECIAL are padding, unknown, begin and end.

    words: runs of letters and digits, and single marks. characters: those of Unicode. bytes: of UTF-8, with no vocabulary.
    """

    def __init__(self, kind: Kind, lowercase: bool, vocabulary: Sequence[str]) -> None:
        self.kind, self.lowercase, self.vocabulary = kind, lowercase, list(vocabulary)
        self.codes = {piece: code for code, piece in enumerate(self.vocabulary, SPECIAL)}

    @classmethod
    def fit(cls, kind: Kind, lowercase: bool, texts: Iterable[str], most: int, least_count: int) -> Tokenizer:
        """Collect the pieces of the training split that occur at least so often, the `most` frequent ones of them."""
        if kind == "bytes":
            return cls(kind, lowercase, [])
        counts: Counter[str] = Counter()
        bare = cls(kind, lowercase, [])
        for text in texts:
            counts.update(bare.pieces(text))
        kept = sorted((piece for piece, count in counts.items() if count >= least_count), key=lambda p: (-counts[p], p))
        return cls(kind, lowercase, kept[:most])

    @property
    def size(self) -> int:
        """Return the number of codes."""
        return SPECIAL + (256 if self.kind == "bytes" else len(self.vocabulary))

    def listed(self) -> list[str]:
        """Return what each code stands for, by code."""
        known = [f"<{byte:02x}>" for byte in range(256)] if self.kind == "bytes" else self.vocabulary
        return ["<padding>", "<unknown>", "<begin>", "<end>", *known]

    def pieces(self, text: str) -> list[str]:
        """Cut a text into pieces."""
        text = text.lower() if self.lowercase else text
        return WORD.findall(text) if self.kind == "words" else list(text)

    def encode(self, text: str) -> list[int]:
        """Return the codes of a text; one that is empty is one unknown piece."""
        if self.kind == "bytes":
            text = text.lower() if self.lowercase else text
            found = [SPECIAL + byte for byte in text.encode("utf-8", "surrogatepass")]
        else:
            found = [self.codes.get(piece, UNKNOWN) for piece in self.pieces(text)]
        return found or [UNKNOWN]

    def state_dict(self) -> dict[str, Any]:
        """Return the kind and the vocabulary."""
        return {"kind": self.kind, "lowercase": self.lowercase, "vocabulary": self.vocabulary}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> Tokenizer:
        """Make the tokenizer again."""
        return cls(state["kind"], state["lowercase"], state["vocabulary"])
