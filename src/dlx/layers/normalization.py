"""Normalisation, dropout and noise."""

from __future__ import annotations

from typing import Annotated

import torch
from pydantic import Field, NonNegativeFloat, PositiveFloat, PositiveInt
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.building import FEATURES, IMAGE, SEQUENCE, Shape, require
from dlx.layers.dropout import Dropout
from dlx.layers.lengths import StepByStep
from dlx.layers.pooling import AlongSteps, DropAlongSteps
from dlx.registry import layers

Rate = Annotated[float, Field(ge=0, lt=1)]


@layers("batch_norm")
def batch_norm(
    input_shape: Shape, *, momentum: Annotated[float, Field(gt=0, le=1)] = 0.1, epsilon: PositiveFloat = 1e-5
) -> nn.Module:
    """Normalise each channel or feature over the batch (Ioffe & Szegedy 2015).

    `momentum` is the share of a new batch in the running statistics: PyTorch's, which is 1 minus Keras's.
    """
    require(input_shape, FEATURES, SEQUENCE, IMAGE)
    if len(input_shape) == 3:
        return nn.BatchNorm2d(input_shape[0], epsilon, momentum)
    norm = nn.BatchNorm1d(input_shape[-1], epsilon, momentum)
    return norm if len(input_shape) == 1 else AlongSteps(norm)


@layers("layer_norm")
def layer_norm(input_shape: Shape, *, epsilon: PositiveFloat = 1e-5) -> nn.Module:
    """Normalise each sample: over its features at every step, or over a whole image with a scale for each channel."""
    require(input_shape, FEATURES, SEQUENCE, IMAGE)
    if len(input_shape) == 3:
        return nn.GroupNorm(1, input_shape[0], epsilon)
    return nn.LayerNorm(input_shape[-1], epsilon)


@layers("group_norm")
def group_norm(input_shape: Shape, *, groups: PositiveInt = 8, epsilon: PositiveFloat = 1e-5) -> nn.Module:
    """Normalise each sample within groups of channels (Wu & He 2018)."""
    require(input_shape, FEATURES, SEQUENCE, IMAGE)
    channels = input_shape[-1] if len(input_shape) < 3 else input_shape[0]
    if channels % groups:
        raise ComponentError(f"wants a divisor of {channels} channels, not {groups}", ("groups",))
    norm = nn.GroupNorm(groups, channels, epsilon)
    return AlongSteps(norm) if len(input_shape) == 2 else norm


@layers("instance_norm")
def instance_norm(input_shape: Shape, *, epsilon: PositiveFloat = 1e-5) -> nn.Module:
    """Normalise each channel of each sample over its pixels or steps (Ulyanov et al. 2016), with learned scale and shift."""
    require(input_shape, SEQUENCE, IMAGE)
    if len(input_shape) == 3:
        return nn.InstanceNorm2d(input_shape[0], epsilon, affine=True)
    return AlongSteps(nn.InstanceNorm1d(input_shape[1], epsilon, affine=True))


@layers("dropout")
def dropout(input_shape: Shape, *, rate: Rate = 0.5) -> nn.Module:
    """Set a share of the values to zero in training (Srivastava et al. 2014)."""
    return Dropout(rate)


@layers("spatial_dropout")
def spatial_dropout(input_shape: Shape, *, rate: Rate = 0.5) -> nn.Module:
    """Set whole channels of an image, or whole features of a sequence, to zero in training."""
    require(input_shape, IMAGE, SEQUENCE)
    return nn.Dropout2d(rate) if len(input_shape) == 3 else DropAlongSteps(nn.Dropout1d(rate))


class Noise(nn.Module, StepByStep):
    """Add normal noise in training."""

    def __init__(self, deviation: float) -> None:
        super().__init__()
        self.deviation = deviation

    def forward(self, input: Tensor) -> Tensor:
        return input + self.deviation * torch.randn_like(input) if self.training else input


@layers("noise")
def noise(input_shape: Shape, *, deviation: NonNegativeFloat = 0.1) -> nn.Module:
    """Add normal noise in training, of the given standard deviation."""
    return Noise(deviation)
