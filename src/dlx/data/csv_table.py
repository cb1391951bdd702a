"""Tables of the user's own, from CSV files."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from typing import Literal

from pydantic import PositiveInt

from dlx.core import Source
from dlx.data.csv_columns import are_classes, are_numbers, blame, divide_by_column, find_column, find_inputs, require_targets
from dlx.data.csv_files import Character, CsvTable, FileOrFraction, read_table, rows_like
from dlx.data.splits import SplitSeed, draw
from dlx.data.tables import table_source
from dlx.errors import Misfit
from dlx.processors.columns import CategoricalColumns, Encoding, Missing, NumericColumns
from dlx.processors.rows import Row
from dlx.processors.scaling import Scaling
from dlx.processors.table import TableProcessor
from dlx.processors.targets import ClassTarget, NumberTarget
from dlx.registry import sources
from dlx.signatures import DataPath

MISSING = ["", "?", "NA", "N/A", "NaN", "nan", "NULL", "null"]
FRACTION = 0.2  # of the training file's rows, where neither a file nor a column nor a fraction gives a split

log = logging.getLogger("dlx")


@sources("csv")
def csv_table(
    seed: int,
    *,
    train: DataPath,
    val: FileOrFraction | None = None,
    test: FileOrFraction | None = None,
    split_column: str | None = None,
    split_seed: SplitSeed = 0,
    stratify: bool = True,
    delimiter: Character = ",",
    header: bool | Literal["auto"] = "auto",
    columns: list[str] | None = None,
    target: str | int,
    target_kind: Literal["auto", "class", "number"] = "auto",
    strip_target: str = "",
    drop: list[str] | None = None,
    numeric: list[str] | None = None,
    categorical: list[str] | None = None,
    categorical_encoding: Encoding = "one_hot",
    missing_values: list[str] = MISSING,
    missing: Missing = "error",
    scaling: Scaling = "standard",
    batch_size: PositiveInt = 32,
    drop_last: bool = False,
) -> Source:
    """A table from CSV files, plain or gzipped, with numeric and categorical columns and one target.

    `val` and `test` are files or fractions of the training file (0.2 unless `split_column` says train, val or test for
    every row), drawn by `split_seed`, with every class's share kept under `stratify`. `target` is a name, or a position
    counted from 0 (-1: the last); "auto" takes text, and whole numbers of at most 20 different values, for classes.
    `strip_target` lists characters to remove from the end of labels. A column listed nowhere is numeric where every value
    of the training split is a number. `missing: mean` fills numeric gaps, `indicator` also adds a feature that marks them.
    """
    given, gaps = {"val": val, "test": test}, frozenset(missing_values)
    with blame("train"):
        whole = read_table(train, delimiter, header, columns)
    goal = find_column(target, whole.columns, ("target",))
    place = whole.columns.index(goal)
    lists = {"drop": drop or [], "numeric": numeric or [], "categorical": categorical or []}
    inputs = find_inputs(whole.columns, goal, split_column, lists)
    files = _read_files(given, whole, delimiter, columns)
    for split, rows in files.items():
        with blame(split):
            require_targets(rows, place, goal, gaps)
    labels = [str(row.cells[place]).rstrip(strip_target) for row in whole.rows]
    kind = _guess(labels, goal) if target_kind == "auto" else target_kind
    if split_column is not None:
        parts = _divide_by(split_column, whole, given)
    else:
        parts = _draw(files, given, split_seed, labels if stratify and kind == "class" else None)
    with blame("target"):
        answer = ClassTarget.fit(goal, parts["train"], place, strip_target) if kind == "class" else NumberTarget(goal)
    examples = {split: _pick(rows, whole.columns, inputs) for split, rows in parts.items()}
    with blame("train"):
        numbers = _numeric(examples["train"], inputs, lists, gaps)
        fitted = NumericColumns.fit(numbers, examples["train"], inputs, gaps, scaling, missing)
        others = [name for name in inputs if name not in numbers]
        coded = CategoricalColumns.fit(others, examples["train"], inputs, gaps, categorical_encoding)
    processor = TableProcessor(inputs, fitted, coded, answer, gaps, whole.columns, delimiter)
    data = {}
    for split in parts:
        with blame(split if split in files else "train"):
            data[split] = {**processor.encode(examples[split]), "target": answer.encode(parts[split], place)}
    with blame("target"):
        return table_source(seed, data, processor, batch_size, drop_last)


def _read_files(
    given: Mapping[str, str | float | None], whole: CsvTable, delimiter: str, columns: list[str] | None
) -> dict[str, list[Row]]:
    files = {"train": whole.rows}
    for split, file in given.items():
        if isinstance(file, str):
            with blame(split):
                names = columns or (None if whole.has_header else whole.columns)
                files[split] = rows_like(read_table(file, delimiter, whole.has_header, names), whole)
    return files


def _guess(labels: Sequence[str], target: str) -> str:
    kind = "class" if are_classes(labels) else "number"
    log.info("the target '%s' is taken for a %s; target_kind can say otherwise", target, kind)
    return kind


def _divide_by(column: str, whole: CsvTable, given: Mapping[str, str | float | None]) -> dict[str, list[Row]]:
    for split, value in given.items():
        if value is not None:
            raise Misfit(f"the splits come from the column '{column}'; leave {split} out, or split_column", (split,))
    with blame("split_column"):
        return divide_by_column(whole.rows, whole.columns.index(column), column)


def _draw(
    files: Mapping[str, list[Row]], given: Mapping[str, str | float | None], split_seed: int, labels: Sequence[str] | None
) -> dict[str, list[Row]]:
    fractions = {s: 0.0 if isinstance(f, str) else FRACTION if f is None else f for s, f in given.items()}
    drawn = draw(len(files["train"]), **fractions, split_seed=split_seed, labels=labels)
    parts = {split: [files["train"][i] for i in numbers] for split, numbers in drawn.items()}
    return parts | {split: rows for split, rows in files.items() if split != "train"}


def _pick(rows: Sequence[Row], columns: Sequence[str], inputs: Sequence[str]) -> list[Row]:
    places = [columns.index(name) for name in inputs]
    return [Row([row.cells[place] for place in places], row.file, row.line) for row in rows]


def _numeric(
    rows: Sequence[Row], inputs: Sequence[str], lists: Mapping[str, Sequence[str]], missing: frozenset[str]
) -> list[str]:
    def is_numeric(place: int, name: str) -> bool:
        if name in lists["numeric"] or name in lists["categorical"]:
            return name in lists["numeric"]
        return are_numbers([row.cells[place] for row in rows], missing)

    return [name for place, name in enumerate(inputs) if is_numeric(place, name)]
