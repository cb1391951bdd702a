"""Observations written as rows of numbers, to `input`, and actions to the environment's own units."""

from __future__ import annotations

import math
import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

import numpy as np
import torch

from dlx.core import Batch, File, Processor
from dlx.errors import UsageError
from dlx.processors.control.actions import Actions, restore_actions
from dlx.processors.rows import Cell, Fault, Row, check, number, read_file, read_lines
from dlx.registry import processors

DELIMITER = ","
LARGEST = float(np.finfo(np.float32).max)


@processors("control")
class ControlProcessor(Processor):
    """Observations as rows of numbers, in the order in which the policy sees them, and actions in the environment's units.

    `input` is float32 or, where observations are `pixels`, uint8 (B, *input_shape).
    """

    name = "control"

    def __init__(self, input_shape: Sequence[int], pixels: bool, actions: Actions) -> None:
        self.input_shape, self.pixels, self.actions = list(input_shape), pixels, actions
        self.size = math.prod(self.input_shape)

    def read(self, inputs: Iterable[str]) -> Iterator[Row]:
        """Read CSV files, with or without a header, `-` for standard input, or rows such as 0.1,0,0.02,0.

        Every row of a file is checked before the first one is given; those of standard input come as they are written.
        """
        given = list(inputs)
        known = {place: self._whole(one) for place, one in enumerate(given) if one != "-"}
        for place in range(len(given)):
            yield from known.pop(place, None) or self._stream()

    def _whole(self, given: str) -> list[Row]:
        """Read a file or a row; raises UsageError that tells every fault."""
        if isinstance(given, File) or os.path.exists(given):
            rows = list(_below_header(read_file(given, DELIMITER)))
        else:
            rows = [row._replace(line=0) for row in read_lines([given], f"'{given}'", DELIMITER)]
            if len(rows) != 1 or all(number(cell) is None for cell in rows[0].cells):
                raise UsageError(f"'{given}' is neither a file nor a row of {self._numbers()}")
        if not rows:
            raise UsageError(f"{given}: holds no row of {self._numbers()}")
        check([fault for row in rows if (fault := self._fault(row))])
        return rows

    def _stream(self) -> Iterator[Row]:
        for row in _below_header(read_file("-", DELIMITER)):
            check([fault for fault in [self._fault(row)] if fault])
            yield row

    def _numbers(self) -> str:
        return f"the {self.size:,} numbers of an observation"

    def _fault(self, row: Row) -> Fault | None:
        """Find what is wrong with a row."""
        if len(row.cells) != self.size:
            return Fault(row, f"has {len(row.cells)} cells, not {self._numbers()}")
        wrong = next((cell for cell in row.cells if not self._is_seen(cell)), None)
        wanted = "whole number from 0 to 255" if self.pixels else "finite number"
        return None if wrong is None else Fault(row, f"'{wrong}' is no {wanted}")

    def _is_seen(self, cell: Cell) -> bool:
        value = number(cell)
        if value is None or abs(value) > LARGEST:
            return False
        return not self.pixels or (value.is_integer() and 0 <= value <= 255)

    def encode(self, examples: list[Row]) -> Batch:
        """Encode rows as `input`."""
        values = np.array([[float(cell) for cell in row.cells] for row in examples], np.uint8 if self.pixels else np.float32)
        return {"input": torch.from_numpy(values.reshape(-1, *self.input_shape))}

    def decode(self, prediction: Batch) -> list[dict[str, Any]]:
        """Answer {"action": number or list of numbers}, and of discrete ones what each was chosen by."""
        return self.actions.decode(prediction)

    def place(self, example: Row) -> str:
        """Tell the file and the line of a row."""
        return example.place

    def describe(self) -> list[str]:
        """Say what is seen and what is done."""
        shape = " x ".join(map(str, self.input_shape))
        seen = f"pixels of {shape}" if self.pixels else f"{shape} number{'s' * (self.size > 1)}"
        return [f"observation  {seen}", f"action       {self.actions.describe()}"]

    def state_dict(self) -> dict[str, Any]:
        """Return the shape of observations, and what actions are."""
        return {"input_shape": self.input_shape, "pixels": self.pixels, "actions": self.actions.state_dict()}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> ControlProcessor:
        """Make the processor again."""
        return cls(state["input_shape"], state["pixels"], restore_actions(state["actions"]))


def _below_header(rows: Iterator[Row]) -> Iterator[Row]:
    """Leave out a first row in which there is no number."""
    first = next(rows, None)
    if first is not None and any(number(cell) is not None for cell in first.cells):
        yield first
    yield from rows
