"""Activations: each is a layer by its own name, and a setting of the layers that take one."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal, get_args

from pydantic import Field, NonNegativeFloat
from torch import nn

from dlx.layers.building import Shape
from dlx.registry import layers

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "relu6": nn.ReLU6,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "mish": nn.Mish,
    "selu": nn.SELU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "hard_sigmoid": nn.Hardsigmoid,
    "hard_swish": nn.Hardswish,
    "softplus": nn.Softplus,
    "softsign": nn.Softsign,
    "leaky_relu": nn.LeakyReLU,
    "elu": nn.ELU,
    "softmax": nn.Softmax,
}

Activation = Literal[
    "relu", "relu6", "gelu", "silu", "mish", "selu", "tanh", "sigmoid", "hard_sigmoid", "hard_swish",
    "softplus", "softsign", "leaky_relu", "elu", "softmax",
]  # fmt: skip


def make_activation(name: Activation, input_shape: Shape) -> nn.Module:
    """Make an activation by name; softmax runs over an image's channels, else over the last axis."""
    return nn.Softmax(dim=1 if len(input_shape) == 3 else -1) if name == "softmax" else ACTIVATIONS[name]()


def make_optional(name: Activation | None, input_shape: Shape) -> nn.Module | None:
    """Make an activation by name; None for none."""
    return make_activation(name, input_shape) if name else None


def _without_settings(name: Activation) -> Callable[..., nn.Module]:
    def build(input_shape: Shape) -> nn.Module:
        return make_activation(name, input_shape)

    build.__doc__ = f"Apply {name} to every value." if name != "softmax" else "Turn scores into probabilities that sum to 1."
    return build


for _name in get_args(Activation):
    if _name not in ("leaky_relu", "elu"):
        layers.adopt(_name, _without_settings(_name))


@layers("leaky_relu")
def leaky_relu(input_shape: Shape, *, slope: NonNegativeFloat = 0.01) -> nn.Module:
    """Keep positive values and multiply negative ones by `slope`."""
    return nn.LeakyReLU(slope)


@layers("elu")
def elu(input_shape: Shape, *, alpha: Annotated[float, Field(gt=0)] = 1.0) -> nn.Module:
    """Keep positive values; negative ones approach -`alpha`."""
    return nn.ELU(alpha)


@layers("prelu")
def prelu(input_shape: Shape) -> nn.Module:
    """Keep positive values and multiply negative ones by one learned slope."""
    return nn.PReLU()


@layers("activation")
def activation(input_shape: Shape, *, name: Activation) -> nn.Module:
    """Apply an activation by name."""
    return make_activation(name, input_shape)


def activation_name(module: nn.Module) -> str:
    """Name an activation; "" for any other module."""
    return next((name for name, kind in ACTIVATIONS.items() if type(module) is kind), "")
