"""Tables of the user's own, from CSV files."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

import numpy as np

from dlx.core import Source
from dlx.data.options import Batching, Checkpoint
from dlx.data.table.csv_columns import (
    are_classes,
    are_measures,
    blame,
    find_column,
    find_inputs,
    numeric_columns,
    require_targets,
)
from dlx.data.table.csv_files import Format
from dlx.data.table.csv_splits import Splitting, TableSplits, divide, read_tables
from dlx.data.table.source import table_source
from dlx.errors import ComponentError
from dlx.processors.csv.cells import Cells
from dlx.processors.labels import unique
from dlx.processors.table.columns import CategoricalColumns, Encoding, Missing, NumericColumns, parse
from dlx.processors.table.processor import TableProcessor, as_table
from dlx.processors.table.scaling import Scaling
from dlx.processors.targets import ClassTarget, NumberTarget, Target
from dlx.registry import sources
from dlx.registry.types import OptionGroup

MISSING = ["", "?", "NA", "N/A", "NaN", "nan", "NULL", "null"]
SPLITS = frozenset(("train", "val", "test"))

log = logging.getLogger("dlx")


@dataclass(frozen=True, kw_only=True)
class ColumnUses(OptionGroup):
    """What the columns of a table are for."""

    target: str | int
    target_kind: Literal["auto", "class", "number"] = "auto"
    strip_target: str = ""
    drop: list[str] | None = None
    numeric: list[str] | None = None
    categorical: list[str] | None = None


@dataclass(frozen=True)
class CellEncoding(OptionGroup):
    """How cells become numbers."""

    categorical_encoding: Encoding = "one_hot"
    missing_values: list[str] = field(default_factory=lambda: list(MISSING))
    missing: Missing = "error"
    scaling: Scaling = "standard"


@sources("csv")
def csv_table(
    seed: int,
    checkpoint: Checkpoint,
    task_target: str = "",
    *,
    splits: TableSplits,
    written: Format,
    uses: ColumnUses,
    encoding: CellEncoding,
    batching: Batching,
) -> Source:
    """A table from CSV files, plain or gzipped, with numeric and categorical columns and one target.

    `val` and `test` are files or fractions of the training file (0.2 unless `split_column` says train, val or test for
    every row), drawn by `split_seed`, with every class's share kept under `stratify`. `target` is a name, or a position
    counted from 0 (-1: the last); its kind "auto" is what the task answers with. `strip_target` lists characters to remove
    from the end of labels. A column listed nowhere is numeric where every value of all files is a number.
    `missing: mean` fills numeric gaps, `indicator` also adds a feature that marks them.
    """
    kept = as_table(checkpoint.processor)
    splitting = Splitting(splits, checkpoint.wanted_splits or SPLITS)
    splitting.check()
    tables = read_tables(splitting, written, kept.file_columns if kept else None)
    wishes = Wishes(uses, encoding, task_target, splits.split_column)
    goal = kept.target.column if kept else wishes.goal(tables["train"].names)
    for split, cells in tables.items():
        with blame(split):
            require_targets(cells, goal, kept.missing if kept else wishes.gaps)
    kind = kept.target.kind if kept else wishes.kind(goal, tables["train"])
    parts = divide(splitting, tables, goal, uses.strip_target, kind == "class")
    if kept is None:
        kept = wishes.fit(goal, kind, tables, parts["train"][1], written.delimiter)
    return _source(seed, kept, tables, parts, splitting.drawn(), batching)


@dataclass(frozen=True)
class Wishes:
    """What the config and the task say of the columns."""

    uses: ColumnUses
    encoding: CellEncoding
    task_target: str
    split_column: str | None

    @property
    def lists(self) -> Mapping[str, Sequence[str]]:
        """Return the columns whose use the config names, by the use."""
        uses = self.uses
        return {"drop": uses.drop or [], "numeric": uses.numeric or [], "categorical": uses.categorical or []}

    @property
    def gaps(self) -> frozenset[str]:
        """Return the words that stand for a missing value."""
        return frozenset(self.encoding.missing_values)

    def goal(self, columns: Sequence[str]) -> str:
        """Find the target's column; ComponentError where it or the use of another column is not clear."""
        goal = find_column(self.uses.target, columns, ("target",))
        find_inputs(columns, goal, self.split_column, self.lists)
        return goal

    def kind(self, goal: str, cells: Cells) -> str:
        """Say whether the target is a class or a number: the config, else the task, else the values tell."""
        if (kind := self.uses.target_kind) != "auto":
            if self.task_target not in ("", kind):
                raise ComponentError(f"the task answers with a {self.task_target}, not with a {kind}", ("target_kind",))
            return kind
        labels = unique(cells[goal], self.uses.strip_target)[0]
        if self.task_target == "class" and are_measures(labels):
            how = "task: regression answers with numbers (target_kind: class takes them for classes all the same)"
            raise ComponentError(
                f"the target '{goal}' holds {len(labels):,} different numbers, not all whole; {how}", ("target",)
            )
        if self.task_target:
            return self.task_target
        kind = "class" if are_classes(labels) else "number"
        log.info("the target '%s' is taken for a %s; target_kind can say otherwise", goal, kind)
        return kind

    def fit(self, goal: str, kind: str, tables: Mapping[str, Cells], rows: np.ndarray, delimiter: str) -> TableProcessor:
        """Fit the processor to some rows of the training file, after a look at what kind every column is."""
        whole, encoding = tables["train"], self.encoding
        inputs = find_inputs(whole.names, goal, self.split_column, self.lists)
        answer = self._answer(goal, kind, whole, rows)
        numbers = self._numeric(inputs, tables)
        numeric = set(numbers)
        others = [name for name in inputs if name not in numeric]
        with blame("train"):
            values = parse(whole, numbers, self.gaps, accept_missing=encoding.missing != "error")
            own = values[rows] if len(rows) < len(whole) else values
            fitted = NumericColumns.fit(numbers, own, encoding.scaling, encoding.missing)
            cells = whole.select(others).taken(rows)
            coded = CategoricalColumns.fit(others, cells, self.gaps, encoding.categorical_encoding)
        return TableProcessor(inputs, fitted, coded, answer, self.gaps, whole.names, delimiter)

    def _answer(self, goal: str, kind: str, whole: Cells, rows: np.ndarray) -> Target:
        cells = whole.select([goal])
        if kind == "number":
            with blame("train"):
                NumberTarget(goal).encode(cells)  # every cell is looked at before its digits are counted
        with blame("target"):
            train = cells.taken(rows)[goal]
            return (
                ClassTarget.fit(goal, train, self.uses.strip_target)
                if kind == "class"
                else NumberTarget.fit(goal, train.to_pylist())
            )

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
    batching: Batching,
) -> Source:
    columns = [*processor.columns, processor.target.column]
    digests = {split: tables[file].select(columns).digest(rows) for split, (file, rows) in parts.items()}
    encoded = {}
    for file in {file for file, _ in parts.values()}:
        with blame(file):
            encoded[file] = {**processor.encode_cells(tables[file]), "target": processor.target.encode(tables[file])}
    data = {split: {word: value[rows] for word, value in encoded[file].items()} for split, (file, rows) in parts.items()}
    with blame("target"):
        return table_source(seed, data, processor, batching.batch_size, batching.drop_last, digests, drawn)
