"""Linear forecasts, which are hard to beat (Zeng et al. 2023, Are Transformers Effective for Time Series Forecasting?)."""

from __future__ import annotations

from typing import Annotated

import torch.nn.functional as F
from pydantic import Field
from torch import Tensor

from dlx.errors import ComponentError
from dlx.models.series.common import Forecast, Forecaster, SeriesFacts, SeriesLinear, laid_out, refuse_inputs
from dlx.registry import models


@models("linear")
class Linear(Forecaster):
    """One linear layer from the past of each series to its future (Zeng et al. 2023); one for all series if `shared`.

    input (B, L, T), known (B, L + H, K) -> (B, H, T).
    """

    def __init__(self, sizes: SeriesFacts, *, shared: bool = True, instance_norm: bool = False, forecasts: Forecast) -> None:
        refuse_inputs(sizes)
        super().__init__(sizes, forecasts, instance_norm)
        self.layer = SeriesLinear(sizes.look_back, sizes.horizon * self.numbers, sizes.num_series, shared)

    def forecast(self, steps: Tensor) -> Tensor:
        """Forecast each series from its own past."""
        return laid_out(self.layer(steps.transpose(1, 2)), self.sizes.horizon, self.numbers)


@models("nlinear")
class NLinear(Linear):
    """The last value, and one linear layer from how the past differs from it (NLinear, Zeng et al. 2023).

    input (B, L, T), known (B, L + H, K) -> (B, H, T). With weights of zero it repeats the last value.
    """

    def __init__(self, sizes: SeriesFacts, *, shared: bool = True, forecasts: Forecast) -> None:
        super().__init__(sizes, shared=shared, forecasts=forecasts)

    def forecast(self, steps: Tensor) -> Tensor:
        """Forecast the difference from the last value."""
        last = steps[:, -1:]
        return super().forecast(steps - last) + last[..., None]


@models("dlinear")
class DLinear(Forecaster):
    """A linear layer for the moving average of the past and one for the rest, added (DLinear, Zeng et al. 2023).

    input (B, L, T), known (B, L + H, K) -> (B, H, T). The average is over `kernel` steps, an odd number; the past's ends are
    repeated before and behind it. One pair of layers serves all series if `shared`, else each has its own (DLinear-I).
    `instance_norm` standardises each window by its own mean and deviation, which the paper does not.
    """

    def __init__(
        self,
        sizes: SeriesFacts,
        *,
        kernel: Annotated[int, Field(ge=3)] = 25,
        shared: bool = True,
        instance_norm: bool = False,
        forecasts: Forecast,
    ) -> None:
        refuse_inputs(sizes)
        super().__init__(sizes, forecasts, instance_norm)
        if kernel % 2 == 0:
            raise ComponentError(f"wants an odd number, so that the average has a middle, not {kernel}", ("kernel",))
        self.kernel = kernel
        outputs = sizes.horizon * self.numbers
        self.trend = SeriesLinear(sizes.look_back, outputs, sizes.num_series, shared)
        self.rest = SeriesLinear(sizes.look_back, outputs, sizes.num_series, shared)

    def forecast(self, steps: Tensor) -> Tensor:
        """Forecast the trend and the rest of each series from its own past."""
        series = steps.transpose(1, 2)
        trend = smoothed(series, self.kernel)
        return laid_out(self.trend(trend) + self.rest(series - trend), self.sizes.horizon, self.numbers)


def smoothed(series: Tensor, kernel: int) -> Tensor:
    """Average (B, V, L) over `kernel` steps about each, the ends repeated."""
    sums = F.pad(series, (kernel // 2, kernel // 2), "replicate").cumsum(-1)
    # By differences of sums: torch's average pooling takes kernel times as long.
    return (sums[..., kernel - 1 :] - F.pad(sums, (1, 0))[..., : series.shape[-1]]) / kernel
