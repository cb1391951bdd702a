"""Tables of the user's own, from CSV files."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal

import numpy as np
from pydantic import PositiveInt

from dlx.core import Processor, Source
from dlx.data.splits import SplitSeed
from dlx.data.table.csv_columns import (
    are_classes,
    are_measures,
    blame,
    find_column,
    find_inputs,
    numeric_columns,
    require_targets,
)
from dlx.data.table.csv_files import Delimiter, FileOrFraction, Format
from dlx.data.table.csv_splits import Splitting, divide, read_tables
from dlx.data.table.source import table_source
from dlx.errors import Misfit
from dlx.processors.csv.cells import Cells
from dlx.processors.labels import unique
from dlx.processors.table.columns import CategoricalColumns, Encoding, Missing, NumericColumns, parse
from dlx.processors.table.processor import TableProcessor, as_table
from dlx.processors.table.scaling import Scaling
from dlx.processors.targets import ClassTarget, NumberTarget, Target
from dlx.registry import sources
from dlx.registry.types import DataPath

MISSING = ["", "?", "NA", "N/A", "NaN", "nan", "NULL", "null"]
SPLITS = frozenset(("train", "val", "test"))

log = logging.getLogger("dlx")


@sources("csv")
def csv_table(
    seed: int,
    processor: Processor | None = None,
    wanted_splits: frozenset[str] | None = None,
    task_target: str = "",
    *,
    train: DataPath,
    val: FileOrFraction | None = None,
    test: FileOrFraction | None = None,
    split_column: str | None = None,
    split_seed: SplitSeed = 0,
    stratify: bool = True,
    delimiter: Delimiter = ",",
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
    counted from 0 (-1: the last); its kind "auto" is what the task answers with. `strip_target` lists characters to remove
    from the end of labels. A column listed nowhere is numeric where every value of all files is a number.
    `missing: mean` fills numeric gaps, `indicator` also adds a feature that marks them.
    """
    kept = as_table(processor)
    splitting = Splitting(train, {"val": val, "test": test}, split_column, split_seed, stratify, wanted_splits or SPLITS)
    splitting.check()
    tables = read_tables(splitting, Format(delimiter, header, columns), kept.file_columns if kept else None)
    uses = {"drop": drop or [], "numeric": numeric or [], "categorical": categorical or []}
    wishes = Wishes(target, target_kind, task_target, strip_target, split_column, uses, frozenset(missing_values))
    goal = kept.target.column if kept else wishes.goal(tables["train"].names)
    for split, cells in tables.items():
        with blame(split):
            require_targets(cells, goal, kept.missing if kept else wishes.gaps)
    kind = kept.target.kind if kept else wishes.kind(goal, tables["train"])
    parts = divide(splitting, tables, goal, strip_target, kind == "class")
    if kept is None:
        kept = wishes.fit(goal, kind, tables, parts["train"][1], (scaling, missing, categorical_encoding), delimiter)
    return _source(seed, kept, tables, parts, splitting.drawn(), batch_size, drop_last)


@dataclass(frozen=True)
class Wishes:
    """What the config says of the columns."""

    target: str | int
    target_kind: str
    task_target: str
    strip: str
    split_column: str | None
    lists: Mapping[str, Sequence[str]]
    gaps: frozenset[str]

    def goal(self, columns: Sequence[str]) -> str:
        """Find the target's column; Misfit where it or the use of another column is not clear."""
        goal = find_column(self.target, columns, ("target",))
        find_inputs(columns, goal, self.split_column, self.lists)
        return goal

    def kind(self, goal: str, cells: Cells) -> str:
        """Say whether the target is a class or a number: the config, else the task, else the values tell."""
        if self.target_kind != "auto":
            if self.task_target not in ("", self.target_kind):
                raise Misfit(f"the task answers with a {self.task_target}, not with a {self.target_kind}", ("target_kind",))
            return self.target_kind
        labels = unique(cells[goal], self.strip)[0]
        if self.task_target == "class" and are_measures(labels):
            how = "task: regression answers with numbers (target_kind: class takes them for classes all the same)"
            raise Misfit(f"the target '{goal}' holds {len(labels):,} different numbers, not all whole; {how}", ("target",))
        if self.task_target:
            return self.task_target
        kind = "class" if are_classes(labels) else "number"
        log.info("the target '%s' is taken for a %s; target_kind can say otherwise", goal, kind)
        return kind

    def fit(
        self,
        goal: str,
        kind: str,
        tables: Mapping[str, Cells],
        rows: np.ndarray,
        choices: tuple[Scaling, Missing, Encoding],
        delimiter: str,
    ) -> TableProcessor:
        """Fit the processor to some rows of the training file, after a look at what kind every column is."""
        whole, (scaling, missing, encoding) = tables["train"], choices
        inputs = find_inputs(whole.names, goal, self.split_column, self.lists)
        answer = self._answer(goal, kind, whole, rows)
        numbers = self._numeric(inputs, tables)
        numeric = set(numbers)
        others = [name for name in inputs if name not in numeric]
        with blame("train"):
            values = parse(whole, numbers, self.gaps, accept_missing=missing != "error")
            fitted = NumericColumns.fit(numbers, values[rows] if len(rows) < len(whole) else values, scaling, missing)
            coded = CategoricalColumns.fit(others, whole.select(others).taken(rows), self.gaps, encoding)
        return TableProcessor(inputs, fitted, coded, answer, self.gaps, whole.names, delimiter)

    def _answer(self, goal: str, kind: str, whole: Cells, rows: np.ndarray) -> Target:
        cells = whole.select([goal])
        if kind == "number":
            with blame("train"):
                NumberTarget(goal).encode(cells)  # every cell is looked at before its digits are counted
        with blame("target"):
            train = cells.taken(rows)[goal]
            return ClassTarget.fit(goal, train, self.strip) if kind == "class" else NumberTarget.fit(goal, train.to_pylist())

    def _numeric(self, inputs: Sequence[str], tables: Mapping[str, Cells]) -> list[str]:
        declared = {name for use in ("numeric", "categorical") for name in self.lists[use]}
        judged = numeric_columns(tables, [name for name in inputs if name not in declared], self.gaps)
        found = {*judged, *self.lists["numeric"]}
        return [name for name in inputs if name in found]


def _source(
    seed: int,
    processor: TableProcessor,
    tables: Mapping[str, Cells],
    parts: Mapping[str, tuple[str, np.ndarray]],
    drawn: frozenset[str],
    batch_size: int,
    drop_last: bool,
) -> Source:
    columns = [*processor.columns, processor.target.column]
    digests = {split: tables[file].select(columns).digest(rows) for split, (file, rows) in parts.items()}
    encoded = {}
    for file in {file for file, _ in parts.values()}:
        with blame(file):
            encoded[file] = {**processor.encode_cells(tables[file]), "target": processor.target.encode(tables[file])}
    data = {split: {word: value[rows] for word, value in encoded[file].items()} for split, (file, rows) in parts.items()}
    with blame("target"):
        return table_source(seed, data, processor, batch_size, drop_last, digests, drawn)
