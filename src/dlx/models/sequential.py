"""A network written layer by layer in the config."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from torch import nn

from dlx.errors import Path
from dlx.layers.activation import activation_name
from dlx.layers.stack import LayerList, PaddedStack, Row, Stack, assemble, shaping
from dlx.registry import models


class Sequential(Stack):
    """Layers one after the other.

    `output_path` is the layer, within the model's section, that gave the output its shape;
    `output_activation` names the activation at the end, "" where there is none.
    """

    def __init__(self, modules: Mapping[str, nn.Module], layout: Iterable[Row]) -> None:
        super().__init__(modules, layout)
        self.output_path: Path = shaping(self.layout)
        self.output_activation = activation_name(self[-1])


class PaddedSequential(Sequential, PaddedStack):
    """Layers one after the other that know where each sequence of a padded batch ends."""


@models("sequential")
def sequential(input_shape: list[int], facts: Mapping, *, layers: LayerList) -> Sequential:
    """Layers one after the other, their input sizes inferred.

    Of data that pads sequences, such as texts, the layers know the lengths: what lies behind an end changes nothing. A layer
    that mixes steps without knowing them, such as flatten, is refused until the steps have become one vector.
    """
    kind = PaddedSequential if facts.get("padded") else Sequential
    return kind(*assemble(layers, input_shape, facts, ("layers",)))
