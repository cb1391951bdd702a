"""The target column of a table: class names or numbers, to tensors and back to words."""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
import torch
from torch import Tensor

from dlx.core import Batch
from dlx.errors import UsageError
from dlx.processors.csv.cells import Cells, Faults
from dlx.processors.labels import Vocabulary, distinct, looks_alike, unique
from dlx.processors.numbers import numbers
from dlx.processors.rows import FAULTS_TOLD, number

DIGITS = 6  # digits of a prediction that are printed, counted from the first one of the targets' deviation
DECIMALS = 15  # the most that are printed after the point

log = logging.getLogger("dlx")


class ClassTarget:
    """A class a row; `strip` lists characters that may end a label without being part of it.

    Labels that are equal numbers, such as 1 and 1.0, are one class; one with a leading zero is a code and a class of its own.
    """

    kind = "class"

    def __init__(self, column: str, names: Sequence[str], strip: str = "") -> None:
        self.column, self.names, self.strip = column, list(names), strip
        self.vocabulary = Vocabulary(self.names)

    @classmethod
    def fit(cls, column: str, cells: pa.Array, strip: str = "") -> ClassTarget:
        """Collect the training split's labels: by size where all are numbers, else in the order of the alphabet."""
        written = unique(cells, strip)[0]
        labels = distinct(written)
        if None not in [number(label) for label in labels]:
            labels.sort(key=float)
        if len(labels) < 2:
            raise UsageError(f"column '{column}' holds one class only: {labels[0]!r}")
        if alike := looks_alike(written):
            log.warning("column '%s': %s has a leading zero and is a class of its own", column, ", ".join(alike[:FAULTS_TOLD]))
        return cls(column, labels, strip)

    def encode(self, cells: Cells) -> Tensor:
        """Number the labels `(N,)`; UsageError tells each that is not in the training split."""
        labels = cells[self.column]
        codes, faults = self.vocabulary.codes(labels, self.strip), Faults()
        known = ", ".join(self.names[:FAULTS_TOLD]) + (", ..." if len(self.names) > FAULTS_TOLD else "")

        def message(row: int) -> str:
            label = labels[row].as_py().rstrip(self.strip)
            return f"column '{self.column}': {label!r} is no class of the training split: {known}"

        faults.add(cells, np.flatnonzero(codes < 0), message)
        faults.check()
        return torch.from_numpy(codes)

    def facts(self, train: Tensor | None) -> dict[str, Any]:
        """Tell what the training split's targets `(N,)` say, as far as they are at hand."""
        facts: dict[str, Any] = {"num_classes": len(self.names), "class_names": self.names}
        return facts if train is None else facts | {"class_counts": torch.bincount(train, minlength=len(self.names)).tolist()}

    def decode(self, prediction: Batch) -> list[dict[str, Any]]:
        """Name the `label` and, where the prediction has it, each class's `probability`."""
        answers: list[dict[str, Any]] = [{"label": self.names[label]} for label in prediction["label"].tolist()]
        if "probability" in prediction:
            for answer, probability in zip(answers, prediction["probability"].tolist(), strict=True):
                answer["probability"] = dict(zip(self.names, probability, strict=True))
        return answers

    def describe(self) -> str:
        """Say what the classes are."""
        return f"class of {len(self.names):,}: {', '.join(self.names[:FAULTS_TOLD])}{', ...' if len(self.names) > FAULTS_TOLD else ''}"

    def state_dict(self) -> dict[str, Any]:
        """Tell the classes."""
        return {"kind": "class", "column": self.column, "names": self.names, "strip": self.strip}


class Measured(float):
    """A number that is printed with as many decimals as mean something; all its digits are there all the same."""

    decimals: int

    def __new__(cls, value: float, decimals: int) -> Measured:
        made = super().__new__(cls, value)
        made.decimals = decimals
        return made

    def __str__(self) -> str:
        return f"{float(self):.{self.decimals}f}"


class NumberTarget:
    """A number a row, in its own units and in float64; `decimals` are printed, where that is known."""

    kind = "number"

    def __init__(self, column: str, decimals: int | None = None) -> None:
        self.column, self.decimals = column, decimals

    @classmethod
    def fit(cls, column: str, written: Sequence[str]) -> NumberTarget:
        """Find the decimals of the training split's targets: as many as are written, or six digits of the deviation."""
        with np.errstate(over="ignore", invalid="ignore"):  # targets that large are refused by name when they are averaged
            spread = float(np.std([float(text) for text in written]))
        needed = DIGITS - 1 - math.floor(math.log10(spread)) if spread and math.isfinite(spread) else 0
        return cls(column, min(max(needed, *map(_decimals, written), 0), DECIMALS))

    def encode(self, cells: Cells) -> Tensor:
        """Read the values `(N, 1)`, float64; UsageError tells each cell that is no number."""
        column, faults = cells[self.column], Faults()
        found = numbers(column, ())
        wrong = np.flatnonzero(found.strange)
        faults.add(cells, wrong, lambda i: f"column '{self.column}': the target {column[i].as_py()!r} is no number")
        faults.check()
        return torch.tensor(found.values)[:, None]

    def facts(self, train: Tensor | None) -> dict[str, Any]:
        """Tell what the training split's targets `(N, 1)` say, as far as they are at hand.

        The sums are exact, so that they are the same on every machine and for any number of threads.
        """
        facts: dict[str, Any] = {"num_outputs": 1, "target_names": [self.column]}
        if train is None:
            return facts
        values = train[:, 0].tolist()
        try:
            mean = math.fsum(values) / len(values)
            std = math.sqrt(math.fsum((value - mean) ** 2 for value in values) / len(values))
        except OverflowError:
            raise UsageError(f"column '{self.column}': the targets are too large for their mean and deviation") from None
        if not std:
            raise UsageError(f"column '{self.column}': the target is the same in the whole training split")
        return facts | {"target_mean": [mean], "target_std": [std]}

    def decode(self, prediction: Batch) -> list[dict[str, Any]]:
        """Name the `value`."""
        values = prediction["value"][:, 0].tolist()
        return [{self.column: value if self.decimals is None else Measured(value, self.decimals)} for value in values]

    def describe(self) -> str:
        """Say what it is."""
        return "number"

    def state_dict(self) -> dict[str, Any]:
        """Tell the column and how it is written."""
        return {"kind": "number", "column": self.column, "decimals": self.decimals}


def _decimals(text: str) -> int:
    exponent = Decimal(text).as_tuple().exponent
    return -exponent if isinstance(exponent, int) else 0


Target = ClassTarget | NumberTarget


def restore_target(state: Mapping[str, Any]) -> Target:
    """Make a target again from its state."""
    kinds: dict[str, Any] = {"class": ClassTarget, "number": NumberTarget}
    return kinds[state["kind"]](**{key: value for key, value in state.items() if key != "kind"})
