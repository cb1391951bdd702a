"""What models that act share: how they see observations, and networks of layer lists under a last layer of a size that is known."""

from __future__ import annotations

import math
from collections import OrderedDict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.stack import Row, build_stack, shaping
from dlx.models.control.bodies import build_body
from dlx.models.control.observations import Observations

GAIN = math.sqrt(2)  # of hidden layers
TANH: list[Any] = [{"dense": {"size": 64, "activation": "tanh"}}] * 2  # hidden layers unless the config says others
RELU: list[Any] = [{"dense": {"size": 256, "activation": "relu"}}] * 2


class Acting(nn.Module):
    """Base of models that act: `see` is how their parts read observations (core/model.py, Observing)."""

    def __init__(self, input_shape: Sequence[int], normalize: bool) -> None:
        super().__init__()
        self.observations = Observations(input_shape, normalize)

    def see(self, input: Tensor) -> Tensor:
        """Return observations (B, ...) as the parts of the model read them."""
        return self.observations(input)

    def observe(self, input: Tensor) -> None:
        """Count observations (B, ...), which change nothing before `settle`."""
        self.observations.observe(input)

    def settle(self) -> None:
        """Let all that was counted change how observations are seen."""
        self.observations.settle()


@dataclass(frozen=True)
class Part:
    """Layers that are built, and the shape that they give for one sample."""

    layers: nn.Sequential
    shape: tuple[int, ...]


class Builder:
    """Builds networks over observations; `lists` are the config's layer lists, or a body's model, by their settings."""

    def __init__(self, facts: Mapping[str, Any], lists: Mapping[str, list | str | dict | None], orthogonal: bool) -> None:
        self.facts, self.lists, self.orthogonal = {**facts, "padded": False}, lists, orthogonal

    def features(self, names: Sequence[str], shape: Sequence[int], origin: str = "the data") -> Part:
        """Chain lists that end in features (size,); raises ComponentError where one does not fit what it reads."""
        modules: dict[str, nn.Module] = {}
        layout: list[Row] = []
        listed: list[nn.Module] = []  # whose weights are drawn here; a model by its name has drawn its own
        for name in names:
            written = self.lists[name] or []
            if not isinstance(written, list):
                body, shape = build_body(written, shape, self.facts, (name,))
                modules |= {f"{name}_{key}": module for key, module in body.items()}
                layout, origin = [], f"the model of {name}"
                continue
            stack = build_stack(written, shape, self.facts, (name,), origin)
            modules |= {f"{name}_{key}": module for key, module in stack.named_children()}
            listed.append(stack)
            if stack.layout:
                layout, shape, origin = [*layout, *stack.layout], stack.layout[-1].output_shape, f"the last layer of {name}"
        if len(shape) != 1:
            told = (
                f"{'ends in' if layout else 'reads'} {tuple(shape)}, but the layer after it wants features (size,); add flatten"
            )
            raise ComponentError(told, shaping(layout) if layout else (names[0],))
        for module in listed if self.orthogonal else ():
            initialize(module, GAIN)
        return Part(nn.Sequential(OrderedDict(modules)), tuple(shape))

    def network(
        self, names: Sequence[str], shape: Sequence[int], outputs: int, gain: float, origin: str = "the data"
    ) -> nn.Module:
        """Chain lists and a last layer of so many outputs; `gain` is that of the last layer's orthogonal weights."""
        hidden = self.features(names, shape, origin)
        last = nn.Linear(hidden.shape[0], outputs)
        if self.orthogonal:
            initialize(last, gain)
        hidden.layers.add_module("output", last)
        return hidden.layers


def initialize(module: nn.Module, gain: float) -> None:
    """Fill the weights of dense layers and convolutions orthogonally and their biases with zeros (Saxe et al. 2014)."""
    for one in module.modules():
        if isinstance(one, nn.Linear | nn.modules.conv._ConvNd):
            nn.init.orthogonal_(one.weight, gain)
            if one.bias is not None:
                nn.init.zeros_(one.bias)
