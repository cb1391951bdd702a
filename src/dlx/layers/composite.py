"""Layers made of layers."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.activation import Activation, make_optional
from dlx.layers.building import Shape, chain
from dlx.layers.lengths import ReadsLength
from dlx.layers.stack import LayerList, PaddedStack, Stack, build_stack
from dlx.registry import layers


class Residual(nn.Module):
    """Add to a stack's output its input, projected where the shapes differ."""

    def __init__(self, body: nn.Module, projection: nn.Module | None) -> None:
        super().__init__()
        self.body, self.projection = body, projection

    def forward(self, input: Tensor) -> Tensor:
        return self.body(input) + (input if self.projection is None else self.projection(input))


class PaddedResidual(Residual, ReadsLength):
    """The same over sequences that are padded."""

    def forward(self, input: Tensor, length: Tensor | None = None) -> Tensor:
        return self.body(input, length) + (input if self.projection is None else self.projection(input))


def make_residual(body: Stack, projection: nn.Module | None, steps: int) -> Residual:
    """Join a stack and the way around it; raises ComponentError where sequences of some length come out with another."""
    if not isinstance(body, PaddedStack):
        return Residual(body, projection)
    lengths = torch.arange(1, steps + 1)
    if not body.keeps_steps or not torch.equal(body.output_length(lengths), lengths):
        told = "its layers change the number of steps of shorter sequences, to which the input cannot be added"
        raise ComponentError(f"{told}; this data pads sequences of fewer than {steps} steps")
    return PaddedResidual(body, projection)


def make_projection(input_shape: Shape, output_shape: Shape) -> nn.Module | None:
    """Make what brings one shape to another: a linear map of the features, or a 1x1 convolution with a stride.

    Raises ComponentError where neither can.
    """
    if input_shape == output_shape:
        return None
    if len(input_shape) == len(output_shape) < 3 and input_shape[:-1] == output_shape[:-1]:
        return nn.Linear(input_shape[-1], output_shape[-1])
    if len(input_shape) == len(output_shape) == 3:
        (_, height, width), (_, new_height, new_width) = input_shape, output_shape
        rows, columns = math.ceil(height / new_height), math.ceil(width / new_width)
        if (math.ceil(height / rows), math.ceil(width / columns)) == (new_height, new_width):
            return nn.Conv2d(input_shape[0], output_shape[0], 1, (rows, columns))
    raise ComponentError(f"its layers turn {input_shape} into {output_shape}, to which the input cannot be added")


@layers("residual")
def residual(input_shape: Shape, facts: Mapping, *, layers: LayerList, activation: Activation | None = None) -> nn.Module:
    """Add the input to the output of some layers (He et al. 2015), projected where the shapes differ."""
    body = build_stack(layers, input_shape, facts, ("layers",), "the block's input")
    output_shape = body.layout[-1].output_shape
    block = make_residual(body, make_projection(input_shape, output_shape), input_shape[0])
    return chain(main=block, activation=make_optional(activation, output_shape))
