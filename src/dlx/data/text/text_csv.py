"""Texts with their classes in a CSV or TSV file."""

from __future__ import annotations

from dlx.core import Source
from dlx.data.options import Checkpoint
from dlx.data.records import split_of, table_records
from dlx.data.text.labelled import Labelled, labelled_source
from dlx.data.text.options import TextBatching, TextOptions, TextSplits
from dlx.data.text.parts import refuse
from dlx.registry import sources
from dlx.registry.types import DataPath


@sources("text_csv")
def text_csv(
    seed: int,
    checkpoint: Checkpoint,
    *,
    path: DataPath,
    text_column: str = "text",
    label_column: str = "label",
    split_column: str | None = None,
    delimiter: str | None = None,
    options: TextOptions,
    splits: TextSplits,
    batching: TextBatching,
) -> Source:
    """Texts of several classes from a CSV file, or one parted by tabs (.tsv, without quotes), plain or gzipped, with a header.

    With `split_column` every row says train, val or test; else the splits are drawn, as for text_files.
    """
    columns = {"text_column": text_column, "label_column": label_column}
    columns |= {"split_column": split_column} if split_column else {}
    texts, labels, own, empty = list[str](), list[str](), list[str](), list[str]()
    for (text, label, *split), place in table_records(path, columns, delimiter):
        if not text or not label:
            empty.append(place)
            continue
        texts.append(text)
        labels.append(label)
        own += [split_of(word, place) for word in split]
    refuse(empty, "no text")
    return labelled_source(seed, checkpoint, Labelled(texts, labels, own if split_column else None), options, splits, batching)
