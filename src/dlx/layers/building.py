"""What the layers' builders share."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable
from typing import Literal

from torch import Tensor, nn

from dlx.errors import ComponentError, Path

Shape = tuple[int, ...]  # of one sample, without the batch

FEATURES, SEQUENCE, IMAGE = 1, 2, 3  # what a sample is, by the number of its axes
KINDS = {FEATURES: "features (size,)", SEQUENCE: "a sequence (steps, features)", IMAGE: "an image (channels, height, width)"}


class LayerShapeError(ComponentError):
    """A builder cannot work with its input's shape; whoever stacks the layers says where that shape comes from."""

    def __init__(self, wants: str, path: Path = ()) -> None:
        self.wants = wants
        super().__init__(f"wants {wants}", path)


def require(input_shape: Shape, *kinds: int) -> None:
    """Raise LayerShapeError unless a sample is one of the kinds, such as IMAGE and SEQUENCE."""
    if len(input_shape) not in kinds:
        raise LayerShapeError(" or ".join(KINDS[kind] for kind in kinds))


def chain(**modules: nn.Module | None) -> nn.Module:
    """Join the modules that are there; the one named `main` gets the layer's own key in the state dict."""
    kept = OrderedDict((name, module) for name, module in modules.items() if module is not None)
    return kept["main"] if list(kept) == ["main"] else nn.Sequential(kept)


Initializer = Literal[
    "default", "glorot_uniform", "glorot_normal", "he_uniform", "he_normal", "lecun_normal", "orthogonal", "zeros"
]

INITIALIZERS: dict[str, Callable] = {
    "glorot_uniform": nn.init.xavier_uniform_,
    "glorot_normal": nn.init.xavier_normal_,
    "he_uniform": lambda weight: nn.init.kaiming_uniform_(weight, nonlinearity="relu"),
    "he_normal": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="relu"),
    "lecun_normal": lambda weight: nn.init.kaiming_normal_(weight, nonlinearity="linear"),
    "orthogonal": nn.init.orthogonal_,
    "zeros": nn.init.zeros_,
}


def initialized(module: nn.Module, initializer: Initializer) -> nn.Module:
    """Fill `weight` by the initializer and `bias` with zeros; `default` keeps PyTorch's own values."""
    if initializer != "default":
        INITIALIZERS[initializer](module.weight)
        if isinstance(module.bias, Tensor):
            nn.init.zeros_(module.bias)
    return module
