"""The perceptron of 1958."""

from __future__ import annotations

from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.registry import models


def require_two_classes(num_classes: int | None) -> None:
    """Raise ComponentError where the data has classes, and not two of them."""
    if num_classes not in (None, 2):
        raise ComponentError(f"one unit tells 2 classes apart, but the data has {num_classes}")


@models("perceptron")
class Perceptron(nn.Module):
    """One linear unit that starts at zero (Rosenblatt 1958); its rule is the loss 'perceptron' with plain SGD.

    input (B, num_features) -> one logit (B, 1), positive for class 1.
    """

    def __init__(self, num_features: int, num_classes: int | None = None) -> None:
        super().__init__()
        require_two_classes(num_classes)
        self.unit = nn.Linear(num_features, 1)
        nn.init.zeros_(self.unit.weight)
        nn.init.zeros_(self.unit.bias)

    def forward(self, input: Tensor) -> Tensor:
        return self.unit(input)
