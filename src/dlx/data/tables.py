"""From rows to a data set: a processor fitted on the training rows, and every split encoded by it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from torch import Tensor

from dlx.data.memory import Memory
from dlx.processors.columns import CategoricalColumns, NumericColumns
from dlx.processors.rows import Row
from dlx.processors.scaling import Affine, Scaling
from dlx.processors.table import TableProcessor
from dlx.processors.targets import Target

EVALUATION_BATCH = 256  # rows: evaluating goes faster in larger batches than training does


def encode_numbers(
    values: np.ndarray,
    labels: Tensor,
    splits: Mapping[str, Sequence[int]],
    columns: Sequence[str],
    target: Target,
    scaling: Scaling | Affine,
    input_shape: Sequence[int] | None = None,
) -> tuple[dict[str, dict[str, Tensor]], TableProcessor]:
    """Encode a table of numbers `(N, F)` with its targets `(N, ...)`; `splits` lists the rows of each split.

    A scaling that is not given ready is fitted to the training rows.
    """
    names = [str(name) for name in columns]
    rows = [Row(cells, "row", line) for line, cells in enumerate(values.tolist(), 1)]
    train = [rows[i] for i in splits["train"]]
    if isinstance(scaling, Affine):
        numeric = NumericColumns(names, scaling, None, [])
    else:
        numeric = NumericColumns.fit(names, train, names, frozenset(), scaling)
    file_columns = [*names, target.column]
    none = CategoricalColumns({}, "one_hot")
    processor = TableProcessor(names, numeric, none, target, file_columns=file_columns, input_shape=input_shape)
    data = {
        split: {**processor.encode([rows[i] for i in wanted]), "target": labels[wanted]} for split, wanted in splits.items()
    }
    return data, processor


def table_source(
    seed: int, data: Mapping[str, Mapping[str, Tensor]], processor: TableProcessor, batch_size: int, drop_last: bool
) -> Memory:
    """Make the data set of a table, with the facts that its training split tells."""
    facts = input_facts(processor, data["train"]["input"]) | processor.target.facts(data["train"]["target"])
    evaluation = max(batch_size, EVALUATION_BATCH)
    return Memory(seed, data, facts, processor, batch_size=batch_size, drop_last=drop_last, evaluation_batch_size=evaluation)


def input_facts(processor: TableProcessor, inputs: Tensor) -> dict[str, Any]:
    """Tell the shape of `input`, the size of a row or of a sequence's step, and the sizes of the categories."""
    facts: dict[str, Any] = {"input_shape": list(inputs.shape[1:])}
    if inputs.dim() < 4:  # an image has no such size
        facts["num_features"] = inputs.shape[-1]
    return facts | ({"category_sizes": processor.category_sizes} if processor.category_sizes else {})
