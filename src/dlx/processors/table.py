"""The processor of tables: rows of named cells to `input` and `category`, predictions to class names or numbers."""

from __future__ import annotations

import logging
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from dlx.core import Batch, Processor
from dlx.errors import UsageError
from dlx.processors.columns import CategoricalColumns, NumericColumns
from dlx.processors.rows import Row, number, read_file, read_lines
from dlx.processors.targets import Target, restore_target
from dlx.registry import processors

log = logging.getLogger("dlx")


@processors("table")
class TableProcessor(Processor):
    """Rows of named cells, numeric and categorical.

    `columns` are the inputs in the order of a raw example's cells; `file_columns` those of the training file, which a
    file without a header may follow too. The features of `input` `(B, *input_shape)` are the numeric columns, their
    indicators of missing values, then the one-hot categories; `category` `(B, K)` is there for encoding "index".
    """

    name = "table"

    def __init__(
        self,
        columns: Sequence[str],
        numeric: NumericColumns,
        categorical: CategoricalColumns,
        target: Target,
        missing_values: Iterable[str] = (),
        file_columns: Sequence[str] = (),
        delimiter: str = ",",
        input_shape: Sequence[int] | None = None,
    ) -> None:
        self.columns, self.numeric, self.categorical, self.target = list(columns), numeric, categorical, target
        self.missing, self.delimiter = frozenset(missing_values), delimiter
        self.file_columns, self.input_shape = list(file_columns), input_shape

    def encode(self, examples: list[Row]) -> Batch:
        """Encode rows whose cells follow `columns`; UsageError tells each cell that cannot be read."""
        parts = [self.numeric(self.numeric.parse(examples, self.columns, self.missing)).astype(np.float32)]
        codes = self.categorical(examples, self.columns, self.missing)
        if self.categorical.encoding == "one_hot":
            parts.append(self.categorical.one_hot(codes))
        features = torch.from_numpy(np.concatenate(parts, axis=1))
        batch = {"input": features if self.input_shape is None else features.reshape(-1, *self.input_shape)}
        if self.category_sizes:
            batch["category"] = torch.from_numpy(codes)
        return batch

    @property
    def category_sizes(self) -> list[int]:
        """Count each column's codes in `category`; empty where the batch has no such word."""
        return self.categorical.sizes if self.categorical.encoding == "index" else []

    def decode(self, prediction: Batch) -> list[dict[str, Any]]:
        """Answer {"label": name, "probability": {name: p}} for classes, {column: value} for numbers."""
        return self.target.decode(prediction)

    def read(self, inputs: Iterable[str]) -> Iterator[Row]:
        """Read CSV files, plain or gzipped, `-` for standard input, or rows written out such as 5.1,3.5,1.4,0.2.

        A file's header gives the order of its columns; without one, they stand as in training, with or without the
        columns that are no inputs.
        """
        for given in inputs:
            if given == "-" or os.path.exists(given):
                yield from self._arrange(read_file(given, self.delimiter), given)
            elif self.delimiter in given or len(self.columns) == 1:
                row = next(read_lines([given], f"'{given}'", self.delimiter), Row([], f"'{given}'"))
                yield self._positional(row._replace(line=0))
            else:
                raise UsageError(f"'{given}' is neither a file nor a row of {self._layout()}")

    def _arrange(self, rows: Iterator[Row], file: str) -> Iterator[Row]:
        first = next(rows, None)
        if first is None:
            raise UsageError(f"{file}: is empty")
        if not self._is_header(first):
            yield self._positional(first)
            yield from map(self._positional, rows)
            return
        header = [str(name) for name in first.cells]
        places = self._places(header, first.file)
        for row in rows:
            if len(row.cells) != len(header):
                raise UsageError(f"{row.place}: has {len(row.cells)} cells, but the header has {len(header)}")
            yield row._replace(cells=[row.cells[place] for place in places])

    def _is_header(self, row: Row) -> bool:
        known = set(self.columns) & set(row.cells)
        return len(known) == len(self.columns) or (bool(known) and all(number(cell) is None for cell in row.cells))

    def _places(self, header: list[str], file: str) -> list[int]:
        if lacking := [name for name in self.columns if name not in header]:
            raise UsageError(f"{file}: lacks the column{'s' * (len(lacking) > 1)} {_quoted(lacking)}; it has {_quoted(header)}")
        if twice := [name for name in self.columns if header.count(name) > 1]:
            raise UsageError(f"{file}: has the column {_quoted(twice)} more than once")
        if extra := [name for name in header if name not in (*self.columns, self.target.column)]:
            log.warning("%s: the model does not read the column%s %s", file, "s" * (len(extra) > 1), _quoted(extra))
        return [header.index(name) for name in self.columns]

    def _positional(self, row: Row) -> Row:
        if len(row.cells) == len(self.columns):
            return row
        if len(row.cells) == len(self.file_columns):
            return row._replace(cells=[row.cells[self.file_columns.index(name)] for name in self.columns])
        raise UsageError(f"{row.place}: has {len(row.cells)} cells, not {self._layout()}")

    def _layout(self) -> str:
        whole = len(self.file_columns)
        others = f", nor all {whole} of the training file" if whole > len(self.columns) else ""
        return f"the {len(self.columns)} of {_quoted(self.columns)}{others}"

    def state_dict(self) -> dict[str, Any]:
        """Tell columns, statistics and names."""
        return {
            "numeric": self.numeric.state_dict(),
            "categorical": self.categorical.state_dict(),
            "target": self.target.state_dict(),
            "columns": self.columns,
            "missing_values": sorted(self.missing),
            "file_columns": self.file_columns,
            "delimiter": self.delimiter,
            "input_shape": None if self.input_shape is None else list(self.input_shape),
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> TableProcessor:
        """Make the processor again."""
        restored = {
            "numeric": NumericColumns.from_state(state["numeric"]),
            "categorical": CategoricalColumns.from_state(state["categorical"]),
            "target": restore_target(state["target"]),
        }
        return cls(**(dict(state) | restored))


def _quoted(names: Sequence[str], most: int = 8) -> str:
    shown = ", ".join(f"'{name}'" for name in names[:most])
    return f"{shown}, ... ({len(names)} in all)" if len(names) > most else shown
