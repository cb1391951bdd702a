"""Dense and embedding layers."""

from __future__ import annotations

from pydantic import NonNegativeInt
from torch import Tensor, nn

from dlx.layers.activation import Activation, make_optional
from dlx.layers.building import FEATURES, SEQUENCE, Initializer, LayerShapeError, Shape, chain, initialized, require
from dlx.layers.shorthand import Size
from dlx.registry import layers


@layers("dense")
def dense(
    input_shape: Shape,
    *,
    size: Size,
    activation: Activation | None = None,
    bias: bool = True,
    initializer: Initializer = "default",
) -> nn.Module:
    """Connect every input feature to every output, at each step of a sequence alike.

    (features) -> (size); (steps, features) -> (steps, size).
    """
    require(input_shape, FEATURES, SEQUENCE)  # on an image it would mix columns only, which nobody means
    linear = initialized(nn.Linear(input_shape[-1], size, bias), initializer)
    return chain(main=linear, activation=make_optional(activation, (size,)))


class Embedding(nn.Embedding):
    """A vector for each code; codes may come as floats, as tables and arrays hold them."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input.long())


@layers("embedding")
def embedding(
    input_shape: Shape,
    *,
    size: Size,
    vocab_size: Size = "vocab_size",  # type: ignore[assignment]
    padding_index: NonNegativeInt | None = None,
) -> nn.Module:
    """Look up a learned vector for each code.

    (steps) -> (steps, size). `vocab_size` is the number of codes; the vector at `padding_index` stays zero.
    """
    if len(input_shape) != 1:
        raise LayerShapeError("codes (steps,)")
    return Embedding(vocab_size, size, padding_index)
