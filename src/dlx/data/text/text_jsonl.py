"""Texts with their classes in a file of JSON lines."""

from __future__ import annotations

from dlx.core import Source
from dlx.data.options import Checkpoint
from dlx.data.records import json_records, split_of
from dlx.data.text.labelled import Labelled, labelled_source
from dlx.data.text.options import TextBatching, TextOptions, TextSplits
from dlx.data.text.parts import refuse
from dlx.registry import sources
from dlx.registry.types import DataPath


@sources("text_jsonl")
def text_jsonl(
    seed: int,
    checkpoint: Checkpoint,
    *,
    path: DataPath,
    text_key: str = "text",
    label_key: str = "label",
    split_key: str | None = None,
    options: TextOptions,
    splits: TextSplits,
    batching: TextBatching,
) -> Source:
    """Texts of several classes from a file of one JSON object a line, plain or gzipped.

    With `split_key` every object says train, val or test; else the splits are drawn, as for text_files.
    """
    texts, labels, own, empty = list[str](), list[str](), list[str](), list[str]()
    keys = [text_key, label_key, *([split_key] if split_key else [])]
    for (text, label, *split), place in json_records(path, keys):
        if not text or not label:
            empty.append(place)
            continue
        texts.append(text)
        labels.append(label)
        own += [split_of(word, place) for word in split]
    refuse(empty, "no text")
    return labelled_source(seed, checkpoint, Labelled(texts, labels, own if split_key else None), options, splits, batching)
