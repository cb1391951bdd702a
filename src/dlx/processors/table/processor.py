"""The processor of tables: rows of named cells to `input` and `category`, predictions to class names or numbers."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from dlx.core import Batch, Processor
from dlx.errors import UsageError
from dlx.processors.csv.cells import Cells, of_rows
from dlx.processors.rows import Row
from dlx.processors.table import inputs as table_inputs
from dlx.processors.table.columns import CategoricalColumns, NumericColumns
from dlx.processors.targets import Target, restore_target
from dlx.registry import processors


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
        return self.encode_cells(of_rows(examples, self.columns))

    def encode_cells(self, cells: Cells) -> dict[str, torch.Tensor]:
        """Encode a table that has `columns`, perhaps among others."""
        return self.encode_values(self.numeric.parse(cells, self.missing), cells)

    def encode_values(self, values: np.ndarray, cells: Cells | None = None) -> dict[str, torch.Tensor]:
        """Encode the numbers `(N, F)` of the numeric columns, with the table that holds the categories, if there are any."""
        parts, batch = [self.numeric(values, cells)], {}
        if cells is not None and self.categorical.values:
            codes = self.categorical(cells, self.missing)
            if self.category_sizes:
                batch["category"] = torch.from_numpy(codes)
            else:
                parts.append(self.categorical.one_hot(codes))
        features = torch.from_numpy(np.concatenate(parts, axis=1) if len(parts) > 1 else parts[0])
        return {"input": features if self.input_shape is None else features.reshape(-1, *self.input_shape)} | batch

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
        columns that are no inputs. Every row of a file is checked before the first one is given; those of standard input
        come as they are written.
        """
        layout = table_inputs.Layout(self.columns, self.file_columns, self.target.column, self.delimiter)
        return table_inputs.read(layout, inputs, self._examine)

    def _examine(self, cells: Cells) -> None:
        self.encode_cells(cells)  # tells what cannot be read

    def place(self, example: Row) -> str:
        """Tell the file and the line of a row."""
        return example.place

    def describe(self) -> list[str]:
        """Say of every column what it is, its range or its values, and how many values were missing in training."""
        told = dict(self.numeric.describe() + self.categorical.describe())
        lines = [(name, told[name]) for name in self.columns if name in told]
        if self.input_shape is not None:  # pixels, say, which nobody reads one by one
            lines = [(f"{len(self.columns):,} columns", f"numbers, as an input of {' x '.join(map(str, self.input_shape))}")]
        lines.append((self.target.column, f"target, {self.target.describe()}"))
        width = min(max(len(name) for name, _ in lines), 30)
        return [f"{name:<{width}}  {what}" for name, what in lines]

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


def as_table(processor: Processor | None) -> TableProcessor | None:
    """Return a checkpoint's processor as one of tables; UsageError where it reads something else."""
    if processor is not None and not isinstance(processor, TableProcessor):
        raise UsageError(f"the checkpoint's data are no table: its processor is '{processor.name}'")
    return processor
