"""Truth tables: the smallest data sets there are."""

from __future__ import annotations

import itertools
import operator
from typing import Any, Literal

import numpy as np
import torch
from pydantic import PositiveInt

from dlx.core import Processor, Source
from dlx.data.table.source import NumberTable
from dlx.processors.targets import ClassTarget
from dlx.registry import sources

FUNCTIONS: dict[str, Any] = {
    "and": operator.and_,
    "or": operator.or_,
    "xor": operator.xor,
    "nand": lambda a, b: 1 - (a & b),
    "nor": lambda a, b: 1 - (a | b),
    "not": lambda a: 1 - a,
}


@sources("truth_table")
def truth_table(
    seed: int,
    processor: Processor | None = None,
    wanted_splits: frozenset[str] | None = None,
    *,
    function: Literal["and", "or", "not", "xor", "nand", "nor"] = "xor",
    batch_size: PositiveInt = 1,
) -> Source:
    """A truth table of two inputs (`not`: one); train, val and test are all its rows alike."""
    width = 1 if function == "not" else 2
    inputs = list(itertools.product((0, 1), repeat=width))
    labels = torch.tensor([FUNCTIONS[function](*row) for row in inputs])
    splits = {split: range(len(inputs)) for split in ("train", "val", "test")}
    values, target = np.array(inputs, dtype=np.float64), ClassTarget(function, ["0", "1"])
    table = NumberTable(values, labels, ["a", "b"][:width], splits)
    return table.source(seed, table.kept(processor) or table.fit(target, "none"), wanted_splits, batch_size)
