"""What networks that forecast series share: facts, what is known ahead, and normalisation of each window."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import dataclass

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.registry.types import FactGroup, OptionGroup

# B: batch, L: steps of the past, H: steps ahead, V: series read, T: those forecast, K: features known ahead, P: numbers a value


@dataclass(frozen=True)
class SeriesFacts(FactGroup):
    """Sizes of the series: steps read and forecast, columns read (V) and forecast (T, the first ones), features known ahead."""

    look_back: int
    horizon: int
    num_series: int
    num_targets: int
    num_known: int = 0


@dataclass(frozen=True)
class Forecast(OptionGroup):
    """How a forecast is given: numbers a value, which the task's loss wants, and the hidden size for what is known ahead."""

    outputs_per_value: PositiveInt = 1
    known_size: PositiveInt = 16


class Forecaster(nn.Module):
    """Base of networks that forecast: input (B, L, V), known (B, L + H, K) -> (B, H, T), or (B, H, T, P) of P numbers a value.

    A small network of what is known ahead gives each step's effect on every series; it is taken from the past, and added to
    what is forecast of the rest. With `instance_norm` each window is standardised by its own mean and deviation before, and
    brought back behind (reversible instance normalisation, Kim et al. 2022).
    """

    def __init__(self, facts: SeriesFacts, forecast: Forecast, instance_norm: bool = False, affine: bool = True) -> None:
        super().__init__()
        self.sizes, self.numbers = facts, forecast.outputs_per_value
        self.norm = ReversibleNorm(facts.num_series, affine) if instance_norm else None
        self.effect = None
        if facts.num_known:
            hidden = forecast.known_size
            self.effect = nn.Sequential(nn.Linear(facts.num_known, hidden), nn.ReLU(), nn.Linear(hidden, facts.num_series))

    @abstractmethod
    def forecast(self, steps: Tensor) -> Tensor:
        """Forecast from steps (B, L, V): (B, H, T, P)."""

    def forward(self, input: Tensor, known: Tensor | None = None) -> Tensor:
        steps, effect, level = input, None, None
        if self.effect is not None:
            assert known is not None
            effect = self.effect(known)
            steps = steps - effect[:, : input.shape[1]]
        if self.norm is not None:
            steps, *level = self.norm(steps)
        ahead = self.forecast(steps)
        if self.norm is not None and level is not None:
            ahead = self.norm.back(ahead, *level)
        if effect is not None:
            ahead = ahead + effect[:, input.shape[1] :, : ahead.shape[2], None]
        return ahead[..., 0] if self.numbers == 1 else ahead


class ReversibleNorm(nn.Module):
    """Standardise each series of each window, with a scale and a shift to learn or without, and undo it behind."""

    EPSILON = 1e-5

    def __init__(self, series: int, affine: bool) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(series)) if affine else None
        self.shift = nn.Parameter(torch.zeros(series)) if affine else None

    def forward(self, steps: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """Return steps (B, L, V) standardised, and the means and deviations (B, 1, V)."""
        mean = steps.mean(1, keepdim=True).detach()
        spread = (steps.var(1, keepdim=True, unbiased=False) + self.EPSILON).sqrt().detach()
        normal = (steps - mean) / spread
        if self.scale is not None and self.shift is not None:
            normal = normal * self.scale + self.shift
        return normal, mean, spread

    def back(self, ahead: Tensor, mean: Tensor, spread: Tensor) -> Tensor:
        """Bring what is forecast (B, H, T, P) back to where the window was."""
        targets = ahead.shape[2]
        if self.scale is not None and self.shift is not None:
            ahead = (ahead - self.shift[:targets, None]) / (self.scale[:targets, None] + self.EPSILON**2)
        return ahead * spread[..., :targets, None] + mean[..., :targets, None]


def refuse_inputs(facts: SeriesFacts) -> None:
    """Raise ComponentError where a model that forecasts each series from its own past would leave further inputs unread."""
    if further := facts.num_series - facts.num_targets:
        told = f"forecasts each series from its own past, and would not read the {further} further one{'s' * (further > 1)}"
        raise ComponentError(f"{told} of data.inputs; leave them out, or choose series_rnn, tcn or itransformer")


class SeriesLinear(nn.Module):
    """A linear layer along the steps of each series, one for all or one each: (B, V, L) -> (B, V, outputs)."""

    def __init__(self, inputs: int, outputs: int, series: int, shared: bool) -> None:
        super().__init__()
        layers = [nn.Linear(inputs, outputs) for _ in range(1 if shared else series)]
        self.weight = nn.Parameter(torch.stack([layer.weight.detach() for layer in layers]))
        self.bias = nn.Parameter(torch.stack([layer.bias.detach() for layer in layers]))

    def forward(self, steps: Tensor) -> Tensor:
        if len(self.weight) == 1:
            return nn.functional.linear(steps, self.weight[0], self.bias[0])
        return torch.einsum("bvl,vol->bvo", steps, self.weight) + self.bias


def laid_out(answers: Tensor, horizon: int, numbers: int) -> Tensor:
    """Turn answers a series (B, V, H * P) into (B, H, V, P)."""
    return answers.unflatten(-1, (horizon, numbers)).transpose(1, 2)
