"""Texts with their classes in a CSV or TSV file."""

from __future__ import annotations

from dlx.core import Source
from dlx.data.options import Checkpoint
from dlx.data.splits import split_named
from dlx.data.text.labelled import Labelled, labelled_source
from dlx.data.text.options import TextBatching, TextOptions, TextSplits
from dlx.data.text.parts import refuse
from dlx.errors import ComponentError, UsageError, unknown
from dlx.processors.rows import read_file
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
    """Texts of several classes from a CSV file, or one parted by tabs (.tsv), plain or gzipped, with a header.

    With `split_column` every row says train, val or test; else the splits are drawn, as for text_files.
    """
    mark = delimiter or ("\t" if ".tsv" in path else ",")
    rows = read_file(path, mark)
    first = next(rows, None)
    if first is None:
        raise UsageError(f"{path}: is empty")
    header = list(map(str, first.cells))
    wanted = {"text_column": text_column, "label_column": label_column}
    wanted |= {"split_column": split_column} if split_column else {}
    places = [_place(header, name, key) for key, name in wanted.items()]
    texts, labels, own, empty = list[str](), list[str](), list[str](), list[str]()
    for row in rows:
        if len(row.cells) != len(header):
            raise UsageError(f"{row.place}: has {len(row.cells)} cells, and the header {len(header)}")
        text, label, *split = (str(row.cells[place]).strip() for place in places)
        if not text or not label:
            empty.append(row.place)
            continue
        texts.append(text)
        labels.append(label)
        own += [_split(one, row.place) for one in split]
    refuse(empty, "no text")
    return labelled_source(seed, checkpoint, Labelled(texts, labels, own if split_column else None), options, splits, batching)


def _place(header: list[str], name: str, key: str) -> int:
    if name not in header:
        raise ComponentError(f"'{name}': {unknown('column', name, header)}", (key,))
    return header.index(name)


def _split(word: str, place: str) -> str:
    if (split := split_named(word)) is None:
        raise UsageError(f"{place}: {word!r} is no split: train, val or test")
    return split
