"""Networks that read all series together, step by step or by dilated convolutions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Annotated, Literal

import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torch.nn.utils.parametrizations import weight_norm

from dlx.layers.dropout import Dropout
from dlx.layers.normalization import Rate
from dlx.models.series.common import Forecast, Forecaster, SeriesFacts
from dlx.registry import models

Cell = Literal["simple_rnn", "lstm", "gru"]
CELLS: dict[Cell, Callable[..., nn.RNNBase]] = {"simple_rnn": nn.RNN, "lstm": nn.LSTM, "gru": nn.GRU}


@models("series_rnn")
class SeriesRNN(Forecaster):
    """Recurrent layers over the past, and a linear layer from their last step to all steps ahead.

    input (B, L, V), known (B, L + H, K) -> (B, H, T).
    """

    def __init__(
        self,
        sizes: SeriesFacts,
        *,
        cell: Cell = "gru",
        size: PositiveInt = 64,
        num_layers: PositiveInt = 1,
        dropout: Rate = 0.0,
        instance_norm: bool = False,
        forecasts: Forecast,
    ) -> None:
        super().__init__(sizes, forecasts, instance_norm)
        between = dropout if num_layers > 1 else 0.0
        self.layers = CELLS[cell](sizes.num_series, size, num_layers, batch_first=True, dropout=between)
        self.dropout = Dropout(dropout)
        self.output = nn.Linear(size, sizes.horizon * sizes.num_targets * self.numbers)

    def forecast(self, steps: Tensor) -> Tensor:
        """Forecast from what the last step has in mind."""
        seen, _ = self.layers(steps)
        answers = self.output(self.dropout(seen[:, -1]))
        return answers.unflatten(-1, (self.sizes.horizon, self.sizes.num_targets, self.numbers))


class Residual(nn.Module):
    """Two dilated causal convolutions with weight normalisation, added to what came in (Bai et al. 2018, figure 1b)."""

    def __init__(self, inputs: int, channels: int, kernel: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.reach = (kernel - 1) * dilation
        self.first = weight_norm(nn.Conv1d(inputs, channels, kernel, dilation=dilation))
        self.second = weight_norm(nn.Conv1d(channels, channels, kernel, dilation=dilation))
        self.match = nn.Conv1d(inputs, channels, 1) if inputs != channels else nn.Identity()
        self.dropout = Dropout(dropout)

    def forward(self, steps: Tensor) -> Tensor:
        inner = self.dropout(F.relu(self.first(F.pad(steps, (self.reach, 0)))))
        inner = self.dropout(F.relu(self.second(F.pad(inner, (self.reach, 0)))))
        return F.relu(inner + self.match(steps))


@models("tcn")
class TCN(Forecaster):
    """A temporal convolutional network (Bai et al. 2018): causal convolutions whose dilation doubles from block to block.

    input (B, L, V), known (B, L + H, K) -> (B, H, T), by a linear layer from the last step. N blocks of kernel k see
    1 + 2 (k - 1) (2^N - 1) steps; as many blocks as see the whole past unless `blocks` is given.
    """

    def __init__(
        self,
        sizes: SeriesFacts,
        *,
        channels: PositiveInt = 32,
        kernel: Annotated[int, Field(ge=2)] = 3,
        blocks: PositiveInt | None = None,
        dropout: Rate = 0.1,
        instance_norm: bool = False,
        forecasts: Forecast,
    ) -> None:
        super().__init__(sizes, forecasts, instance_norm)
        needed = 1
        while 1 + 2 * (kernel - 1) * (2**needed - 1) < sizes.look_back:
            needed += 1
        widths = [sizes.num_series, *[channels] * (blocks or needed)]
        self.blocks = nn.Sequential(
            *(Residual(inputs, channels, kernel, 2**n, dropout) for n, inputs in enumerate(widths[:-1]))
        )
        self.output = nn.Linear(channels, sizes.horizon * sizes.num_targets * self.numbers)

    def forecast(self, steps: Tensor) -> Tensor:
        """Forecast from the last step."""
        seen = self.blocks(steps.transpose(1, 2))[..., -1]
        return self.output(seen).unflatten(-1, (self.sizes.horizon, self.sizes.num_targets, self.numbers))
