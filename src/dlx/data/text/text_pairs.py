"""Texts with an answer each, in tables, JSON lines or parallel files."""

from __future__ import annotations

from collections.abc import Iterable

from dlx.core import Source
from dlx.data.options import Checkpoint
from dlx.data.text.options import PairOptions, SplitShares, TextBatching
from dlx.data.text.pairs import Pair, pair_source
from dlx.data.text.parts import refuse
from dlx.data.text.records import Record, json_records, table_records
from dlx.errors import UsageError
from dlx.processors.text.lines import read_lines
from dlx.registry import sources
from dlx.registry.types import DataPath

Column = str | int


@sources("pairs_csv")
def pairs_csv(
    seed: int,
    checkpoint: Checkpoint,
    *,
    train: DataPath,
    val_file: DataPath | None = None,
    test_file: DataPath | None = None,
    source_column: Column = "source",
    target_column: Column = "target",
    header: bool = True,
    delimiter: str | None = None,
    options: PairOptions,
    shares: SplitShares,
    batching: TextBatching,
) -> Source:
    """Pairs of texts from CSV files, or ones parted by tabs (.tsv, or `delimiter`), plain or gzipped.

    Columns are named by the header or, with `header: false`, counted from 0. Files parted by tabs know no quotes. Splits
    without a file of their own are drawn from `train` (a tenth each), all pairs of one source text into the same.
    """
    columns = {"source_column": source_column, "target_column": target_column}
    files = {"train": train, "val": val_file, "test": test_file}
    given = {split: pairs(table_records(file, columns, delimiter, header)) for split, file in files.items() if file}
    return pair_source(seed, checkpoint, given, options, shares, batching)


@sources("pairs_jsonl")
def pairs_jsonl(
    seed: int,
    checkpoint: Checkpoint,
    *,
    train: DataPath,
    val_file: DataPath | None = None,
    test_file: DataPath | None = None,
    source_key: str = "source",
    target_key: str = "target",
    options: PairOptions,
    shares: SplitShares,
    batching: TextBatching,
) -> Source:
    """Pairs of texts from files of one JSON object a line, plain or gzipped; splits as for pairs_csv."""
    files, keys = {"train": train, "val": val_file, "test": test_file}, (source_key, target_key)
    given = {split: pairs(json_records(file, keys)) for split, file in files.items() if file}
    return pair_source(seed, checkpoint, given, options, shares, batching)


@sources("parallel_lines")
def parallel_lines(
    seed: int,
    checkpoint: Checkpoint,
    *,
    source: DataPath,
    target: DataPath,
    options: PairOptions,
    shares: SplitShares,
    batching: TextBatching,
) -> Source:
    """Pairs of texts from two files, plain or gzipped, a line each; splits are drawn as for pairs_csv."""
    one, other = list(read_lines(source)), list(read_lines(target))
    if len(one) != len(other):
        raise UsageError(f"{source} has {len(one):,} lines, but {target} {len(other):,}")
    found = pairs(((a.text, b.text), a.place) for a, b in zip(one, other, strict=True))
    return pair_source(seed, checkpoint, {"train": found}, options, shares, batching)


def pairs(records: Iterable[Record]) -> list[Pair]:
    """Make pairs of records of two texts; raises UsageError, with the lines, where one has none."""
    made, empty = list[Pair](), list[str]()
    for (source, target, *_), place in records:
        if source and target:
            made.append(Pair(source, target))
        else:
            empty.append(place)
    refuse(empty, "a text is missing")
    if not made:
        raise UsageError("there are no pairs of texts in the data")
    return made
