"""The target column of a table: class names or numbers, to tensors and back to words."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlx.core import Batch
from dlx.errors import UsageError
from dlx.processors.rows import TOLD, Fault, Row, check, number, numbers


class ClassTarget:
    """A class a row; `strip` lists characters that may end a label without being part of it."""

    def __init__(self, column: str, names: Sequence[str], strip: str = "") -> None:
        self.column, self.names, self.strip = column, list(names), strip
        self.codes = {name: code for code, name in enumerate(self.names)}

    @classmethod
    def fit(cls, column: str, rows: Sequence[Row], place: int, strip: str = "") -> ClassTarget:
        """Collect the training split's labels: by size where all are numbers, else in the order of the alphabet."""
        labels = sorted({str(row.cells[place]).rstrip(strip) for row in rows})
        values = [number(label) for label in labels]
        if None not in values:
            labels.sort(key=float)
        if len(labels) < 2:
            raise UsageError(f"column '{column}' holds one class only: {labels[0]!r}")
        return cls(column, labels, strip)

    def encode(self, rows: Sequence[Row], place: int) -> Tensor:
        """Number the labels `(N,)`; UsageError tells each that is not in the training split."""
        labels = [str(row.cells[place]).rstrip(self.strip) for row in rows]
        codes = [self.codes.get(label, -1) for label in labels]
        known = ", ".join(self.names[:TOLD]) + (", ..." if len(self.names) > TOLD else "")
        faults = [
            Fault(rows[i], f"{labels[i]!r} is no class of the training split: {known}") for i, c in enumerate(codes) if c < 0
        ]
        check([Fault(row, f"column '{self.column}': {message}") for row, message in faults])
        return torch.tensor(codes, dtype=torch.int64)

    def facts(self, train: Tensor) -> dict[str, Any]:
        """Tell what the training split's targets `(N,)` say."""
        counts = torch.bincount(train, minlength=len(self.names)).tolist()
        return {"num_classes": len(self.names), "class_names": self.names, "class_counts": counts}

    def decode(self, prediction: Batch) -> list[dict[str, Any]]:
        """Name the `label` and, where the prediction has it, each class's `probability`."""
        answers: list[dict[str, Any]] = [{"label": self.names[label]} for label in prediction["label"].tolist()]
        if "probability" in prediction:
            for answer, probability in zip(answers, prediction["probability"].tolist(), strict=True):
                answer["probability"] = dict(zip(self.names, probability, strict=True))
        return answers

    def state_dict(self) -> dict[str, Any]:
        """Tell the classes."""
        return {"kind": "class", "column": self.column, "names": self.names, "strip": self.strip}


class NumberTarget:
    """A number a row, in its own units."""

    def __init__(self, column: str) -> None:
        self.column = column

    def encode(self, rows: Sequence[Row], place: int) -> Tensor:
        """Read the values `(N, 1)`; UsageError tells each that is no number."""
        cells = [row.cells[place] for row in rows]
        values, strange = numbers(cells, frozenset())
        check([Fault(rows[i], f"column '{self.column}': the target {cells[i]!r} is no number") for i in strange])
        return torch.from_numpy(values.astype(np.float32))[:, None]

    def facts(self, train: Tensor) -> dict[str, Any]:
        """Tell what the training split's targets `(N, 1)` say."""
        values = train.double()
        if not (std := values.std(0, correction=0)).all():
            raise UsageError(f"column '{self.column}': the target is the same in the whole training split")
        means = {"target_mean": values.mean(0).tolist(), "target_std": std.tolist()}
        return {"num_outputs": train.shape[1], "target_names": [self.column]} | means

    def decode(self, prediction: Batch) -> list[dict[str, Any]]:
        """Name the `value`."""
        return [dict(zip([self.column], value, strict=True)) for value in prediction["value"].tolist()]

    def state_dict(self) -> dict[str, Any]:
        """Tell the column."""
        return {"kind": "number", "column": self.column}


Target = ClassTarget | NumberTarget


def restore_target(state: Mapping[str, Any]) -> Target:
    """Make a target again from its state."""
    kinds: dict[str, Any] = {"class": ClassTarget, "number": NumberTarget}
    return kinds[state["kind"]](**{key: value for key, value in state.items() if key != "kind"})
