"""The threshold units of 1943."""

from __future__ import annotations

import torch
from pydantic import ConfigDict
from torch import Tensor, nn
from typing_extensions import TypedDict  # pydantic wants this one below Python 3.12

from dlx.errors import ComponentError
from dlx.models.table.perceptron import require_two_classes
from dlx.registry import models


class ThresholdUnit(TypedDict):
    """A unit that fires when the weighted sum of its inputs reaches the threshold."""

    __pydantic_config__ = ConfigDict(strict=True, extra="forbid", allow_inf_nan=False)  # type: ignore[misc]

    weights: list[float]
    threshold: float


@models("mcculloch_pitts")
class McCullochPitts(nn.Module):
    """Layers of threshold units with given weights (McCulloch & Pitts 1943); nothing is learned.

    input (B, num_features) -> one logit (B, 1): 0.5 where the last unit fires, else -0.5.
    Raises ComponentError at the unit that has too few or too many weights.
    """

    def __init__(self, num_features: int, num_classes: int | None = None, *, units: list[list[ThresholdUnit]]) -> None:
        super().__init__()
        require_two_classes(num_classes)
        if not units or len(units[-1]) != 1:
            path = ("units", len(units) - 1) if units else ("units",)
            raise ComponentError("the last layer wants exactly one unit: its output is the answer", path)
        self.num_layers = len(units)
        inputs = num_features
        for index, layer in enumerate(units):
            _check_layer(layer, index, inputs)
            self.register_buffer(f"weights_{index}", torch.tensor([unit["weights"] for unit in layer]))
            self.register_buffer(f"thresholds_{index}", torch.tensor([unit["threshold"] for unit in layer]))
            inputs = len(layer)

    def forward(self, input: Tensor) -> Tensor:
        fired = input
        for index in range(self.num_layers):
            weights, thresholds = self.get_buffer(f"weights_{index}"), self.get_buffer(f"thresholds_{index}")
            fired = (fired @ weights.T >= thresholds).to(input.dtype)
        return fired - 0.5


def _check_layer(layer: list[ThresholdUnit], index: int, inputs: int) -> None:
    if not layer:
        raise ComponentError("wants at least one unit", ("units", index))
    for place, unit in enumerate(layer):
        if len(unit["weights"]) != inputs:
            source = f"layer {index - 1}'s units" if index else "the data's features"
            message = f"has {len(unit['weights'])} weights, but {source} number {inputs}"
            raise ComponentError(message, ("units", index, place, "weights"))
