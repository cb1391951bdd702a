"""Attention over sequences (steps, features)."""

from __future__ import annotations

import math
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.building import SEQUENCE, Shape, require
from dlx.layers.dropout import dropout as drop
from dlx.layers.lengths import ReadsLength, StepByStep, filled, inside
from dlx.layers.normalization import Rate
from dlx.layers.shorthand import Size
from dlx.registry import layers

# B: batch, T: steps, E: features, H: heads


def attend(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, rate: float, causal: bool = False) -> Tensor:
    """Attend from queries (B, H, T, E) to keys and values (B, H, S, E), dropping a share `rate` of the weights.

    `mask` is True where there is something to see; `causal` hides later steps.
    """
    if not rate or query.device.type != "cpu":
        return F.scaled_dot_product_attention(query, key, value, mask, rate, causal)
    scores = query @ key.transpose(2, 3) * query.shape[-1] ** -0.5
    if causal:
        mask = torch.ones(scores.shape[2:], dtype=torch.bool).tril()
    if mask is not None:
        scores = scores.masked_fill(~mask, -torch.inf)
    return drop(scores.softmax(-1), rate, True) @ value


class SelfAttention(nn.Module, ReadsLength):
    """Let every step look at all steps, or at the earlier ones only (Vaswani et al. 2017, section 3.2)."""

    def __init__(self, features: int, heads: int, dropout: float, causal: bool) -> None:
        super().__init__()
        self.heads, self.dropout, self.causal = heads, dropout, causal
        self.project = nn.Linear(features, 3 * features)
        self.join = nn.Linear(features, features)

    def forward(self, input: Tensor, length: Tensor | None = None) -> Tensor:
        parts = self.project(input).unflatten(-1, (3, self.heads, -1))  # (B, T, 3, H, E / H)
        query, key, value = parts.transpose(1, 3).unbind(2)  # each (B, H, T, E / H)
        rate = self.dropout if self.training else 0.0
        mask = None
        if length is not None and not self.causal:  # of earlier steps none is padding
            mask = inside(input.shape[1], length)[:, None, None]
        seen = attend(query, key, value, mask, rate, self.causal)
        return self.join(seen.transpose(1, 2).flatten(2))


@layers("attention")
def attention(input_shape: Shape, *, heads: PositiveInt = 4, dropout: Rate = 0.0, causal: bool = False) -> nn.Module:
    """Let every step look at all the others, in several heads; `causal` hides the later ones."""
    require(input_shape, SEQUENCE)
    if input_shape[1] % heads:
        raise ComponentError(f"wants a divisor of {input_shape[1]} features, not {heads}", ("heads",))
    return SelfAttention(input_shape[1], heads, dropout, causal)


class AttentionPool(nn.Module, ReadsLength):
    """Average the steps by weights that a small network gives them (Bahdanau et al. 2015; Yang et al. 2016)."""

    keeps_steps = False

    def __init__(self, features: int, size: int) -> None:
        super().__init__()
        self.project = nn.Linear(features, size)
        self.score = nn.Linear(size, 1, bias=False)

    def forward(self, input: Tensor, length: Tensor | None = None) -> Tensor:
        scores = self.score(self.project(input).tanh())  # (B, T, 1)
        scores = scores if length is None else filled(scores, length, -torch.inf)
        return (scores.softmax(1) * input).sum(1)


@layers("attention_pool")
def attention_pool(input_shape: Shape, *, size: Size | None = None) -> nn.Module:
    """Average the steps, each weighted by attention: (steps, features) -> (features).

    A step's weight is softmax(v tanh(W x + b)), with `size` hidden values, as many as features unless given.
    """
    require(input_shape, SEQUENCE)
    return AttentionPool(input_shape[1], size or input_shape[1])


class Positions(nn.Module, StepByStep):
    """Add a vector for each position; a batch may be shorter than the longest there is."""

    def __init__(self, positions: Tensor, learned: bool) -> None:
        super().__init__()
        if learned:
            self.positions = nn.Parameter(positions)
        else:
            self.register_buffer("positions", positions, persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        return input + self.positions[: input.shape[1]]


def sinusoids(steps: int, features: int) -> Tensor:
    """Give sines and cosines of falling frequency (Vaswani et al. 2017, section 3.5); (steps, features)."""
    rate = torch.exp(torch.arange(0, features, 2) * (-math.log(10000.0) / features))
    angle = torch.arange(steps).unsqueeze(1) * rate
    return torch.stack((angle.sin(), angle.cos()), -1).flatten(1)[:, :features].contiguous()


@layers("positions")
def positions(input_shape: Shape, *, kind: Literal["learned", "sinusoidal"] = "learned") -> nn.Module:
    """Add to every step a vector that tells its position."""
    require(input_shape, SEQUENCE)
    learned = kind == "learned"
    return Positions(0.02 * torch.randn(input_shape) if learned else sinusoids(*input_shape), learned)
