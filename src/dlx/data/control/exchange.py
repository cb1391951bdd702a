"""What is said between processes: a mapping of plain values and arrays, as a line of JSON and the arrays' bytes after it."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import IO, Any

import numpy as np

ARRAY = "array"


def write(file: IO[bytes], values: Mapping[str, Any]) -> None:
    """Write values; a list of arrays is written as several."""
    arrays: list[np.ndarray] = []

    def told(value: Any) -> Any:
        if isinstance(value, np.ndarray):
            arrays.append(np.ascontiguousarray(value))
            return {ARRAY: [value.dtype.str, list(value.shape)]}
        return [told(one) for one in value] if isinstance(value, (list, tuple)) else value

    line = json.dumps({key: told(value) for key, value in values.items()}).encode()
    file.write(b"".join([line, b"\n", *(array.tobytes() for array in arrays)]))
    file.flush()


def read(file: IO[bytes]) -> dict[str, Any] | None:
    """Read values; None where the other side is gone."""
    line = file.readline()
    if not line.endswith(b"\n"):
        return None

    def heard(value: Any) -> Any:
        if isinstance(value, dict):
            kind, shape = np.dtype(value[ARRAY][0]), value[ARRAY][1]
            raw = file.read(kind.itemsize * int(np.prod(shape)))
            return np.frombuffer(bytearray(raw), kind).reshape(shape)
        return [heard(one) for one in value] if isinstance(value, list) else value

    try:
        return {key: heard(value) for key, value in json.loads(line).items()}
    except ValueError:  # it ended within an array
        return None
