"""Batches, what is descended on them, and what there is to look at."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import torch
from torch import Tensor

Batch = Mapping[str, Any]  # names to tensors; docs/glossary.md lists the words
WITHOUT_FLOAT64 = ("mps",)  # kinds of devices that have no float64


@dataclass(frozen=True, slots=True)
class Loss:
    """One quantity to descend, and how."""

    value: Tensor  # scalar, a mean over `weight` items
    weight: float | Tensor = 1.0  # samples, tokens, frames: makes accumulation exact
    part: str = ""  # the submodule of the model that steps; "" is the whole model
    scalars: Mapping[str, float | Tensor] = field(default_factory=dict)  # more numbers for the log
    feedback: Tensor | None = None  # (B,) what the source hears of each sample after the step, such as its error


class Picture(Protocol):
    """Something to look at: a matplotlib Figure, or anything that saves itself the same way.

    `savefig` writes a PNG to a path that ends in `.png` or into a binary stream. A logger may rely on nothing else.
    """

    def savefig(self, file: Any, /) -> Any: ...


@dataclass(frozen=True)
class Table:
    """Text to look at, such as examples with their answers: rows of cells under a header."""

    header: Sequence[str]
    rows: Sequence[Sequence[str]]

    def text(self) -> str:
        """Return the table as lines, its columns side by side."""
        cells = [list(self.header), *(list(row) for row in self.rows)]
        widths = [max(len(row[column]) for row in cells) for column in range(len(self.header))]
        return "\n".join("  ".join(f"{c:<{w}}" for c, w in zip(row, widths, strict=True)).rstrip() for row in cells)


Shown = Picture | Table


def to_device(batch: Batch, device: torch.device) -> Batch:
    """Move a batch's tensors to a device; on the CPU the batch itself comes back.

    Tensors of float64 stay on the CPU where the device has no such type: a task standardises them there.
    """
    return batch if device.type == "cpu" else {word: _moved(value, device) for word, value in batch.items()}


def _moved(value: Any, device: torch.device) -> Any:
    """Move a tensor, and those within lists and mappings."""
    if isinstance(value, Tensor):
        stays = value.dtype == torch.float64 and device.type in WITHOUT_FLOAT64
        return value if stays else value.to(device, non_blocking=True)
    if isinstance(value, Mapping):
        return {key: _moved(inner, device) for key, inner in value.items()}
    return [_moved(inner, device) for inner in value] if isinstance(value, (list, tuple)) else value


def shortened(batch: Batch, size: int) -> Batch:
    """Return the first samples of a batch: of tensors and lists, which have one entry a sample, as many entries."""
    return {word: value[:size] if isinstance(value, (Tensor, list)) else value for word, value in batch.items()}
