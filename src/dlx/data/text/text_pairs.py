"""Texts with an answer each, in tables, JSON lines or parallel files."""

from __future__ import annotations

from collections.abc import Iterator

from dlx.core import Source
from dlx.data.options import Checkpoint
from dlx.data.records import Column, Record, json_records, parallel_records, table_records
from dlx.data.text.options import PairFiles, PairOptions, SplitShares, TextBatching
from dlx.data.text.pair_records import given_pairs, pairs
from dlx.data.text.pairs import pair_source
from dlx.errors import ComponentError
from dlx.registry import sources
from dlx.registry.types import DataFiles, DataPath, matching


@sources("pairs_csv")
def pairs_csv(
    seed: int,
    checkpoint: Checkpoint,
    *,
    files: PairFiles,
    source_column: Column = "source",
    target_column: Column = "target",
    reference_columns: tuple[Column, ...] = (),
    split_column: Column | None = None,
    header: bool = True,
    delimiter: str | None = None,
    options: PairOptions,
    shares: SplitShares,
    batching: TextBatching,
) -> Source:
    """Pairs of texts from CSV files, or ones parted by tabs (.tsv, or `delimiter`), plain or gzipped.

    Columns are named by the header or, with `header: false`, counted from 0. Files parted by tabs know no quotes. Splits
    without a file of their own are drawn from `train` (a tenth each), all pairs of one source text into the same; with
    `split_column` every row of `train` says train, val or test instead. `reference_columns` are further right answers beside
    the target, which evaluation counts; a file or a row may lack them.
    """
    columns = {} if split_column is None else {"split_column": split_column}
    columns |= {"source_column": source_column, "target_column": target_column}

    def read(file: str) -> Iterator[Record]:
        return table_records(file, columns, delimiter, header, reference_columns)

    split = None if split_column is None else "split_column"
    given, drawn = given_pairs(read, files, split, shares, ("reference_columns", reference_columns))
    return pair_source(seed, checkpoint, given, options, drawn, batching)


@sources("pairs_jsonl")
def pairs_jsonl(
    seed: int,
    checkpoint: Checkpoint,
    *,
    files: PairFiles,
    source_key: str = "source",
    target_key: str = "target",
    reference_keys: tuple[str, ...] = (),
    split_key: str | None = None,
    options: PairOptions,
    shares: SplitShares,
    batching: TextBatching,
) -> Source:
    """Pairs of texts from files of one JSON object a line, plain or gzipped; splits and references as for pairs_csv."""
    keys = [*([] if split_key is None else [split_key]), source_key, target_key]

    def read(file: str) -> Iterator[Record]:
        return json_records(file, keys, reference_keys)

    split = None if split_key is None else "split_key"
    given, drawn = given_pairs(read, files, split, shares, ("reference_keys", reference_keys))
    return pair_source(seed, checkpoint, given, options, drawn, batching)


@sources("parallel_lines")
def parallel_lines(
    seed: int,
    checkpoint: Checkpoint,
    *,
    source: DataPath,
    target: DataPath,
    val_source: DataPath | None = None,
    val_target: DataFiles | None = None,
    test_source: DataPath | None = None,
    test_target: DataFiles | None = None,
    options: PairOptions,
    shares: SplitShares,
    batching: TextBatching,
) -> Source:
    """Pairs of texts from two files, plain or gzipped, a line each; splits without files are drawn as for pairs_csv.

    `val_target` and `test_target` may name several files of right answers by a pattern such as `test.ref*`: the first by name
    is the target, and a line of the others may be empty.
    """
    given = {"train": pairs(parallel_records([source, target]))}
    for split, one, other in (("val", val_source, val_target), ("test", test_source, test_target)):
        if (one is None) != (other is None):
            missing = f"{split}_{'source' if one is None else 'target'}"
            raise ComponentError(f"{split}_source and {split}_target belong together", (missing,))
        if one and other:
            given[split] = pairs(parallel_records([one, *matching(other)]))
    return pair_source(seed, checkpoint, given, options, shares, batching)
