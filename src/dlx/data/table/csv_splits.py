"""Which files and rows the splits of a CSV experiment are made of."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np

from dlx.data.splits import SplitSeed, draw
from dlx.data.table.csv_columns import blame, divide_by_column
from dlx.data.table.csv_files import CsvTable, FileOrFraction, Format, arranged, read_table
from dlx.errors import ComponentError
from dlx.processors.csv.cells import Cells
from dlx.processors.labels import canonical, unique
from dlx.registry.types import DataPath, OptionGroup

FRACTION = 0.2  # of the training file's rows, where neither a file nor a column nor a fraction gives a split
REMEDY = "add rows, or draw without regard to the classes (stratify: false)"


@dataclass(frozen=True, kw_only=True)
class TableSplits(OptionGroup):
    """What the config says of the splits: the training file, what gives the others, and how they are drawn."""

    train: DataPath
    val: FileOrFraction | None = None
    test: FileOrFraction | None = None
    split_column: str | None = None
    split_seed: SplitSeed = 0
    stratify: bool = True


@dataclass(frozen=True)
class Splitting:
    """Which splits are wanted, and what each is made of."""

    options: TableSplits
    wanted: frozenset[str] = field(default_factory=lambda: frozenset(("train", "val", "test")))

    @property
    def given(self) -> Mapping[str, str | float | None]:
        """Return what gives the splits beside training: a file, a share of the training file, or None."""
        return {"val": self.options.val, "test": self.options.test}

    def check(self) -> None:
        """Raise ComponentError where a split is given twice."""
        for split, value in self.given.items():
            if self.options.split_column is not None and value is not None:
                raise ComponentError(
                    f"the splits come from the column '{self.options.split_column}'; leave {split} out, or split_column",
                    (split,),
                )

    def files(self) -> dict[str, str]:
        """List the files to read by the config's keys: the training file only where a split needs it."""
        own = {split: file for split, file in self.given.items() if isinstance(file, str) and split in self.wanted}
        return own if own.keys() == self.wanted else {"train": self.options.train, **own}

    def drawn(self) -> frozenset[str]:
        """List the splits that are parts of the training file."""
        return frozenset(split for split, file in self.given.items() if not isinstance(file, str))


def read_tables(splitting: Splitting, written: Format, known: Sequence[str] | None) -> dict[str, Cells]:
    """Read the files, all with their columns in the order of `known`, or else of the training file."""
    tables: dict[str, CsvTable] = {}
    for split, file in splitting.files().items():
        with blame(split):
            like = tables.get("train")
            columns = known or (like.columns if like else None)
            table = read_table(file, written, like, columns)
            tables[split] = arranged(table, columns) if columns else table
    return {split: table.cells for split, table in tables.items()}


def divide(
    splitting: Splitting, tables: Mapping[str, Cells], target: str, strip: str, is_class: bool
) -> dict[str, tuple[str, np.ndarray]]:
    """Find for each split that is wanted its file and the numbers of its rows."""
    parts = {split: (split, np.arange(len(cells))) for split, cells in tables.items() if split != "train"}
    if "train" in tables:
        own = _by_column(splitting, tables["train"]) or _drawn(splitting, tables["train"], target, strip, is_class)
        parts |= {split: ("train", rows) for split, rows in own.items()}
    return {split: part for split, part in parts.items() if split in splitting.wanted}


def _by_column(splitting: Splitting, cells: Cells) -> dict[str, np.ndarray]:
    if splitting.options.split_column is None:
        return {}
    with blame("split_column"):
        return divide_by_column(cells, splitting.options.split_column)


def _drawn(splitting: Splitting, cells: Cells, target: str, strip: str, is_class: bool) -> dict[str, np.ndarray]:
    labels = None
    if splitting.options.stratify and is_class:
        names, indices = unique(cells[target], strip)
        labels = np.array([canonical(name) for name in names])[indices]
    fractions = {s: 0.0 if isinstance(f, str) else FRACTION if f is None else f for s, f in splitting.given.items()}
    drawn = draw(len(cells), **fractions, split_seed=splitting.options.split_seed, labels=labels, unit="row", remedy=REMEDY)
    return {split: np.asarray(rows) for split, rows in drawn.items()}
