"""The block that Transformers repeat."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.activation import make_activation
from dlx.layers.attention import SelfAttention
from dlx.layers.building import SEQUENCE, Shape, require
from dlx.layers.dropout import Dropout
from dlx.layers.lengths import ReadsLength
from dlx.layers.normalization import Rate
from dlx.layers.shorthand import Size
from dlx.registry import layers


class TransformerEncoder(nn.Module, ReadsLength):
    """Self-attention, then a network at each step, both on normalised values and added to what they read (pre-norm)."""

    def __init__(self, attention: SelfAttention, network: nn.Module, features: int, dropout: float) -> None:
        super().__init__()
        self.attention_norm, self.attention = nn.LayerNorm(features), attention
        self.network_norm, self.network = nn.LayerNorm(features), network
        self.dropout = Dropout(dropout)

    def forward(self, input: Tensor, length: Tensor | None = None) -> Tensor:
        seen = input + self.dropout(self.attention(self.attention_norm(input), length))
        return seen + self.dropout(self.network(self.network_norm(seen)))


@layers("transformer_encoder")
def transformer_encoder(
    input_shape: Shape,
    *,
    heads: PositiveInt = 4,
    size: Size | None = None,
    dropout: Rate = 0.1,
    activation: Literal["relu", "gelu"] = "relu",
    causal: bool = False,
) -> nn.Module:
    """Let steps look at each other, then pass each through two dense layers: one pre-norm block (Xiong et al. 2020).

    `size` is that of the hidden layer, four times the features unless given. `causal` hides later steps. A layer_norm belongs
    behind the last block, since a block's own sum is not normalised.
    """
    require(input_shape, SEQUENCE)
    features = input_shape[1]
    if features % heads:
        raise ComponentError(f"wants a divisor of {features} features, not {heads}", ("heads",))
    hidden = size or 4 * features
    act = make_activation(activation, input_shape)
    network = nn.Sequential(nn.Linear(features, hidden), act, Dropout(dropout), nn.Linear(hidden, features))
    return TransformerEncoder(SelfAttention(features, heads, dropout, causal), network, features, dropout)
