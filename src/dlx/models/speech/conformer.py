"""Attention and convolutions side by side: the Conformer."""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.attention import SelfAttention, sinusoids
from dlx.layers.dropout import Dropout
from dlx.layers.normalization import Rate
from dlx.models.speech.blocks import silenced
from dlx.models.speech.recurrent import Convolutions, Subsampling
from dlx.registry import models

# B: clips, T: steps, E: size


class Dense(nn.Module):
    """Two dense layers behind a norm, with SiLU between (section 2.3)."""

    def __init__(self, size: int, hidden: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.widen, self.narrow = nn.LayerNorm(size), nn.Linear(size, hidden), nn.Linear(hidden, size)
        self.dropout = Dropout(dropout)

    def forward(self, steps: Tensor) -> Tensor:
        return self.dropout(self.narrow(self.dropout(F.silu(self.widen(self.norm(steps))))))


class StepConvolution(nn.Module):
    """A gated depthwise convolution along the steps behind a norm (section 2.2): (B, T, E), not hearing padding."""

    def __init__(self, size: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.norm, self.gate, self.join = nn.LayerNorm(size), nn.Linear(size, 2 * size), nn.Linear(size, size)
        self.along = nn.Conv1d(size, size, kernel, padding=kernel // 2, groups=size)
        self.batch_norm, self.dropout = nn.BatchNorm1d(size), Dropout(dropout)

    def forward(self, steps: Tensor, length: Tensor) -> Tensor:
        gated = F.glu(self.gate(self.norm(steps)), -1).transpose(1, 2)
        heard = F.silu(self.batch_norm(self.along(silenced(gated, length))))
        return self.dropout(self.join(heard.transpose(1, 2)))


class Block(nn.Module):
    """Half a dense step, attention, convolution, half a dense step, and a norm (section 2.4)."""

    def __init__(self, size: int, heads: int, hidden: int, kernel: int, dropout: float) -> None:
        super().__init__()
        self.first, self.last = Dense(size, hidden, dropout), Dense(size, hidden, dropout)
        self.norm, self.attention = nn.LayerNorm(size), SelfAttention(size, heads, dropout, False)
        self.convolution, self.end, self.dropout = (
            StepConvolution(size, kernel, dropout),
            nn.LayerNorm(size),
            Dropout(dropout),
        )

    def forward(self, steps: Tensor, length: Tensor) -> Tensor:
        steps = steps + self.first(steps) / 2
        steps = steps + self.dropout(self.attention(self.norm(steps), length))
        steps = steps + self.convolution(steps, length)
        return self.end(steps + self.last(steps) / 2)


@models("conformer")
class Conformer(nn.Module):
    """Attention and convolutions side by side, with logits at every step (Conformer, Gulati et al. 2020).

    Positions are sinusoids added to the steps, not the paper's relative ones. `subsampling` is how many steps of the input
    become one. input (B, T, F), length (B,) -> logits (B, T', V), steps (B,). What lies behind a clip's end changes nothing.
    """

    def __init__(
        self,
        num_features: int,
        target_vocab_size: int,
        *,
        width: PositiveInt = 32,
        subsampling: Subsampling = 4,
        size: PositiveInt = 96,
        heads: PositiveInt = 4,
        num_layers: PositiveInt = 4,
        feedforward: PositiveInt = 256,
        kernel_size: PositiveInt = 15,
        dropout: Rate = 0.1,
    ) -> None:
        super().__init__()
        if size % heads:
            raise ComponentError(f"wants a divisor of size {size}, not {heads}", ("heads",))
        if kernel_size % 2 == 0:
            raise ComponentError("is odd, so that a step stands in the middle", ("kernel_size",))
        self.convolutions = Convolutions(num_features, width, subsampling)
        self.enter, self.dropout = nn.Linear(self.convolutions.size, size), Dropout(dropout)
        self.blocks = nn.ModuleList(Block(size, heads, feedforward, kernel_size, dropout) for _ in range(num_layers))
        self.output = nn.Linear(size, target_vocab_size)

    def forward(self, input: Tensor, length: Tensor | None = None) -> tuple[Tensor, Tensor]:
        steps, left = self.convolutions(input, length)
        steps = self.enter(steps)
        steps = self.dropout(steps + sinusoids(steps.shape[1], steps.shape[2]).to(steps))
        for block in self.blocks:
            steps = block(steps, left)
        return self.output(steps), left
