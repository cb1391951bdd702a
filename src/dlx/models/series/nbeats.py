"""Forecasts by stacks of blocks, each of which explains some of the past and some of the future."""

from __future__ import annotations

import math
from typing import Literal

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from dlx.models.series.common import Forecast, Forecaster, SeriesFacts, refuse_inputs
from dlx.registry import models

Stack = Literal["generic", "trend", "seasonality"]


class Block(nn.Module):
    """Dense layers, from which coefficients follow of what is explained of the past and forecast of the future."""

    past: Tensor
    future: Tensor

    def __init__(self, inputs: int, horizon: int, numbers: int, size: int, depth: int, kind: Stack, degree: int) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for width in [inputs, *[size] * (depth - 1)]:
            layers += [nn.Linear(width, size), nn.ReLU()]
        self.layers, self.numbers, self.kind = nn.Sequential(*layers), numbers, kind
        past, future = basis(kind, inputs, horizon, degree)
        self.register_buffer("past", past, persistent=False)
        self.register_buffer("future", future, persistent=False)
        self.back = nn.Linear(size, len(past))
        self.ahead = nn.Linear(size, len(future) * numbers)

    def forward(self, steps: Tensor) -> tuple[Tensor, Tensor]:
        """Return what is explained of steps (N, L) and forecast, (N, H, P)."""
        seen = self.layers(steps)
        coefficients = self.ahead(seen).unflatten(-1, (-1, self.numbers))
        if self.kind == "generic":  # the coefficients are the values themselves
            return self.back(seen), coefficients
        return self.back(seen) @ self.past, torch.einsum("ncp,ch->nhp", coefficients, self.future)


def basis(kind: Stack, inputs: int, horizon: int, degree: int) -> tuple[Tensor, Tensor]:
    """Return the curves of a stack over past (C, L) and future (C', H): points, polynomials, or sines and cosines."""
    if kind == "generic":
        return torch.zeros(inputs, 0), torch.zeros(horizon, 0)
    past, future = (torch.arange(n) / n for n in (inputs, horizon))
    if kind == "trend":
        powers = range(degree + 1)
        return torch.stack([past**power for power in powers]), torch.stack([future**power for power in powers])
    return _waves(past, horizon // 2), _waves(future, horizon // 2)


def _waves(time: Tensor, count: int) -> Tensor:
    angles = [2 * math.pi * n * time for n in range(max(count, 1))]
    return torch.stack([*(angle.cos() for angle in angles), *(angle.sin() for angle in angles)])


@models("nbeats")
class NBeats(Forecaster):
    """N-BEATS (Oreshkin et al. 2020): each block forecasts, and takes what it explains of the past from what the next one sees.

    input (B, L, T), known (B, L + H, K) -> (B, H, T), each series from its own past by the same blocks. `stacks` of generic
    blocks, or of trend and seasonality, whose forecasts are polynomials of a degree and waves.
    """

    def __init__(
        self,
        sizes: SeriesFacts,
        *,
        stacks: list[Stack] | None = None,
        blocks: PositiveInt = 1,
        size: PositiveInt = 128,
        depth: PositiveInt = 4,
        degree: PositiveInt = 2,
        instance_norm: bool = False,
        forecasts: Forecast,
    ) -> None:
        refuse_inputs(sizes)
        super().__init__(sizes, forecasts, instance_norm)
        self.blocks = nn.ModuleList(
            Block(sizes.look_back, sizes.horizon, self.numbers, size, depth, kind, degree)
            for kind in stacks or ["generic", "generic"]
            for _ in range(blocks)
        )
        for parameter in self.blocks[-1].back.parameters():  # type: ignore[union-attr]
            parameter.requires_grad_(False)  # nobody sees what the last block leaves of the past

    def forecast(self, steps: Tensor) -> Tensor:
        """Add the blocks' forecasts up."""
        batch, length, series = steps.shape
        left = steps.transpose(1, 2).reshape(-1, length)
        ahead: Tensor | float = 0.0
        for block in self.blocks:
            explained, more = block(left)
            left, ahead = left - explained, ahead + more
        assert isinstance(ahead, Tensor)
        return ahead.reshape(batch, series, self.sizes.horizon, self.numbers).transpose(1, 2)
