"""Transformers over series: over patches of each, or over the series themselves."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.attention import SelfAttention
from dlx.layers.dropout import Dropout
from dlx.layers.normalization import Rate
from dlx.layers.transformer import TransformerEncoder
from dlx.models.series.common import Forecast, Forecaster, SeriesFacts, laid_out, refuse_inputs
from dlx.registry import models


def encoder(layers: int, size: int, heads: int, feedforward: int, dropout: float) -> nn.Sequential:
    """Make pre-norm blocks with a norm behind the last; raises ComponentError where the heads do not divide the size."""
    if size % heads:
        raise ComponentError(f"wants a divisor of the size {size}, not {heads}", ("heads",))
    made: list[nn.Module] = []
    for _ in range(layers):
        network = nn.Sequential(nn.Linear(size, feedforward), nn.GELU(), Dropout(dropout), nn.Linear(feedforward, size))
        made.append(TransformerEncoder(SelfAttention(size, heads, dropout, causal=False), network, size, dropout))
    return nn.Sequential(*made, nn.LayerNorm(size))


@models("patchtst")
class PatchTST(Forecaster):
    """PatchTST (Nie et al. 2023): a Transformer over patches of each series alone, by the same weights, and a linear layer.

    input (B, L, T), known (B, L + H, K) -> (B, H, T). Patches of `patch` steps begin every `stride`; the last value is
    repeated so that one more fits. Blocks are pre-norm with layer norm where the paper has batch norm behind.
    """

    def __init__(
        self,
        sizes: SeriesFacts,
        *,
        patch: PositiveInt = 16,
        stride: PositiveInt = 8,
        size: PositiveInt = 16,
        heads: PositiveInt = 4,
        num_layers: PositiveInt = 3,
        feedforward: PositiveInt = 128,
        dropout: Rate = 0.3,
        head_dropout: Rate = 0.0,
        instance_norm: bool = True,
        forecasts: Forecast,
    ) -> None:
        refuse_inputs(sizes)
        super().__init__(sizes, forecasts, instance_norm)
        if patch > sizes.look_back:
            raise ComponentError(f"is longer than the past: {patch} of {sizes.look_back} steps", ("patch",))
        self.patch, self.stride = patch, stride
        count = (sizes.look_back + stride - patch) // stride + 1
        self.embed, self.dropout = nn.Linear(patch, size), Dropout(dropout)
        self.positions = nn.Parameter(torch.empty(count, size).uniform_(-0.02, 0.02))
        self.encoder = encoder(num_layers, size, heads, feedforward, dropout)
        self.output = nn.Linear(count * size, sizes.horizon * self.numbers)
        self.head_dropout = Dropout(head_dropout)

    def forecast(self, steps: Tensor) -> Tensor:
        """Forecast each series from its own patches."""
        series = F.pad(steps.transpose(1, 2), (0, self.stride), "replicate")
        patches = series.flatten(0, 1).unfold(-1, self.patch, self.stride)  # (B * V, patches, patch)
        seen = self.encoder(self.dropout(self.embed(patches) + self.positions))
        answers = self.output(self.head_dropout(seen.flatten(1)))
        return laid_out(answers.unflatten(0, (len(steps), -1)), self.sizes.horizon, self.numbers)


@models("itransformer")
class ITransformer(Forecaster):
    """An inverted Transformer (iTransformer, Liu et al. 2024): each whole series is one token, and attention joins the series.

    input (B, L, V), known (B, L + H, K) -> (B, H, T). Windows are standardised without a scale to learn, as in the paper;
    blocks are pre-norm.
    """

    def __init__(
        self,
        sizes: SeriesFacts,
        *,
        size: PositiveInt = 128,
        heads: PositiveInt = 8,
        num_layers: PositiveInt = 2,
        feedforward: PositiveInt = 128,
        dropout: Rate = 0.1,
        instance_norm: bool = True,
        forecasts: Forecast,
    ) -> None:
        super().__init__(sizes, forecasts, instance_norm, affine=False)
        self.embed, self.dropout = nn.Linear(sizes.look_back, size), Dropout(dropout)
        self.encoder = encoder(num_layers, size, heads, feedforward, dropout)
        self.output = nn.Linear(size, sizes.horizon * self.numbers)

    def forecast(self, steps: Tensor) -> Tensor:
        """Forecast each series in view of all."""
        seen = self.encoder(self.dropout(self.embed(steps.transpose(1, 2))))[:, : self.sizes.num_targets]
        return laid_out(self.output(seen), self.sizes.horizon, self.numbers)
