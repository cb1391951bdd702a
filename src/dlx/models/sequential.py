"""A network written layer by layer in the config."""

from __future__ import annotations

from collections.abc import Mapping

from dlx.errors import Path
from dlx.layers.activation import activation_name
from dlx.layers.stack import LayerList, Stack, assemble
from dlx.registry import models


@models("sequential")
class Sequential(Stack):
    """Layers one after the other, their input sizes inferred.

    `output_path` is the layer, within the model's section, that gave the output its shape;
    `output_activation` names the activation at the end, "" where there is none.
    """

    def __init__(self, input_shape: list[int], facts: Mapping, *, layers: LayerList) -> None:
        super().__init__(*assemble(layers, input_shape, facts, ("layers",)))
        shaping = [row for row in self.layout if row.parameters or row.input_shape != row.output_shape]
        self.output_path: Path = (shaping or self.layout)[-1].path
        self.output_activation = activation_name(self[-1])
