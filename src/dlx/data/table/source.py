"""From a table to a data set: a processor fitted on the training rows, and every split encoded by it."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from torch import Tensor

from dlx.core import Processor
from dlx.data.in_memory import InMemorySource
from dlx.errors import UsageError
from dlx.processors.table.columns import CategoricalColumns, NumericColumns
from dlx.processors.table.processor import TableProcessor, as_table
from dlx.processors.table.scaling import Affine, Scaling
from dlx.processors.targets import Target

EVALUATION_BATCH = 256  # rows: evaluating goes faster in larger batches than training does


@dataclass(frozen=True)
class NumberTable:
    """A table of numbers `(N, F)` with its targets `(N, ...)`, and the rows of each split."""

    values: np.ndarray
    labels: Tensor
    columns: Sequence[str]
    splits: Mapping[str, Sequence[int]]

    def fit(self, target: Target, scaling: Scaling | Affine, input_shape: Sequence[int] | None = None) -> TableProcessor:
        """Make its processor; a scaling that is not given ready is fitted to the training rows."""
        names = [str(name) for name in self.columns]
        train = self.values[list(self.splits["train"])]
        numeric = (
            NumericColumns(names, scaling, None, [])
            if isinstance(scaling, Affine)
            else NumericColumns.fit(names, train, scaling)
        )
        none = CategoricalColumns({}, "one_hot")
        return TableProcessor(names, numeric, none, target, file_columns=[*names, target.column], input_shape=input_shape)

    def kept(self, processor: Processor | None) -> TableProcessor | None:
        """Return a checkpoint's processor; UsageError where it reads other columns."""
        table = as_table(processor)
        if table is not None and table.columns != [str(name) for name in self.columns]:
            raise UsageError("the checkpoint was trained on other columns than this table has")
        return table

    def source(
        self, seed: int, processor: TableProcessor, wanted: Collection[str] | None, batch_size: int, drop_last: bool = False
    ) -> InMemorySource:
        """Encode the wanted splits, None for all, into a data set."""
        data, digests = {}, {}
        for split, numbers in self.splits.items():
            if wanted is None or split in wanted:
                rows = list(numbers)
                data[split] = {**processor.encode_values(self.values[rows]), "target": self.labels[rows]}
                raw = np.ascontiguousarray(self.values[rows]).tobytes() + self.labels[rows].numpy().tobytes()
                digests[split] = hashlib.sha256(raw).hexdigest()
        return table_source(seed, data, processor, batch_size, drop_last, digests, frozenset(self.splits) - {"train"})


def table_source(
    seed: int,
    data: Mapping[str, Mapping[str, Tensor]],
    processor: TableProcessor,
    batch_size: int,
    drop_last: bool,
    digests: Mapping[str, str],
    drawn: frozenset[str],
) -> InMemorySource:
    """Make the data set of a table, with the facts that its splits tell."""
    facts: dict[str, Any] = {}
    for words in list(data.values())[:1]:
        facts = input_facts(processor, words["input"])
    facts |= processor.target.facts(data["train"]["target"] if "train" in data else None)
    evaluation = max(batch_size, EVALUATION_BATCH)
    source = InMemorySource(
        seed, data, facts, processor, batch_size=batch_size, drop_last=drop_last, evaluation_batch_size=evaluation
    )
    source.digests, source.drawn = digests, drawn
    return source


def input_facts(processor: TableProcessor, inputs: Tensor) -> dict[str, Any]:
    """Tell the shape of `input`, the size of a row or of a sequence's step, and the sizes of the categories."""
    facts: dict[str, Any] = {"input_shape": list(inputs.shape[1:])}
    if inputs.dim() < 4:  # an image has no such size
        facts["num_features"] = inputs.shape[-1]
    return facts | ({"category_sizes": processor.category_sizes} if processor.category_sizes else {})
