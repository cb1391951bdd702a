"""Which kind of tokenizer a text is cut by."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from typing import Any

from dlx.processors.subwords import Subwords
from dlx.processors.text.capitals import Capitals, mark
from dlx.processors.tokenizer import Bytes, Case, Kind, Tokenizer, Words, split


def fit_tokenizer(kind: Kind, lowercase: Case, texts: Iterable[str], most: int, least_count: int) -> Tokenizer:
    """Learn a tokenizer from the training split's texts.

    words, characters: the `most` frequent pieces that occur at least so often. bpe, unigram: `most` codes in all.
    """
    if lowercase == "marked":
        return Capitals(fit_tokenizer(kind, False, map(mark, texts), most, least_count))
    given = (text.lower() for text in texts) if lowercase else texts
    if kind == "bytes":
        return Bytes(lowercase)
    if kind == "bpe" or kind == "unigram":
        return Subwords.fit(kind, lowercase, given, most)
    counts: Counter[str] = Counter()
    for text in given:
        counts.update(split(kind, text))
    kept = sorted((piece for piece, count in counts.items() if count >= least_count), key=lambda p: (-counts[p], p))
    return Words(kind, lowercase, kept[:most])


def restored_tokenizer(state: Mapping[str, Any]) -> Tokenizer:
    """Make a tokenizer again from what it said of itself."""
    if state["lowercase"] == "marked":
        return Capitals(restored_tokenizer({**state, "lowercase": False}))
    if state["kind"] == "bytes":
        return Bytes(state["lowercase"])
    if state["kind"] in ("bpe", "unigram"):
        return Subwords.from_state(state)
    return Words(state["kind"], state["lowercase"], state["vocabulary"])
