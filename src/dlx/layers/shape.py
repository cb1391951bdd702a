"""Layers that rearrange values."""

from __future__ import annotations

import math

from pydantic import PositiveInt
from torch import Tensor, nn

from dlx.layers.building import FEATURES, LayerShapeError, Shape, require
from dlx.registry import layers


@layers("flatten")
def flatten(input_shape: Shape) -> nn.Module:
    """Lay all values of a sample in one row."""
    return nn.Flatten()


class Reshape(nn.Module):
    """Give every sample another shape."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, input: Tensor) -> Tensor:
        return input.reshape(input.shape[0], *self.shape)


@layers("reshape")
def reshape(input_shape: Shape, *, shape: list[int]) -> nn.Module:
    """Give every sample another shape with as many values; one size may be -1, which is what remains."""
    known = math.prod(size for size in shape if size != -1)
    total, free = math.prod(input_shape), shape.count(-1)
    if known <= 0 or free > 1 or any(size < -1 for size in shape) or (total % known if free else total != known):
        raise LayerShapeError(f"a shape that holds as many values as {shape}", ("shape",))
    # The missing size is settled here: -1 beside the batch's own size would fail on an empty batch.
    return Reshape(tuple(total // known if size == -1 else size for size in shape))


class Permute(nn.Module):
    """Put the axes of every sample in another order."""

    def __init__(self, axes: Shape) -> None:
        super().__init__()
        self.axes = axes

    def forward(self, input: Tensor) -> Tensor:
        return input.permute(0, *self.axes)


@layers("permute")
def permute(input_shape: Shape, *, axes: list[PositiveInt]) -> nn.Module:
    """Put the axes of a sample in another order; they count from 1, as in Keras: [2, 1] swaps steps and features."""
    if sorted(axes) != list(range(1, len(input_shape) + 1)):
        raise LayerShapeError(f"an input with the axes {sorted(axes)}", ("axes",))
    return Permute(tuple(axes))


class Repeat(nn.Module):
    """Repeat a row as every step of a sequence."""

    def __init__(self, steps: int) -> None:
        super().__init__()
        self.steps = steps

    def forward(self, input: Tensor) -> Tensor:
        return input.unsqueeze(1).expand(-1, self.steps, -1)


@layers("repeat")
def repeat(input_shape: Shape, *, steps: PositiveInt) -> nn.Module:
    """Repeat features as every step of a sequence: (features) -> (steps, features)."""
    require(input_shape, FEATURES)
    return Repeat(steps)
