"""Forecasts that anybody can make: what a model must beat to have any skill."""

from __future__ import annotations

import torch
from torch import Tensor

NAIVE = ("last_value", "drift", "seasonal_naive", "moving_average")


def naive_forecasts(history: Tensor, horizon: int, season: int) -> Tensor:
    """Continue histories (B, L, T) in the four ways of `NAIVE`: (B, 4, H, T).

    The last value; the straight line through the first and the last one (Hyndman & Athanasopoulos 2021, section 5.2); the
    last season once more; the mean of the last season, or of the whole history where a season is one step.
    """
    length = history.shape[1]
    ahead = torch.arange(horizon, device=history.device)
    last = history[:, -1:].expand(-1, horizon, -1)
    slope = (history[:, -1:] - history[:, :1]) / max(length - 1, 1)
    drift = last + slope * (ahead + 1).to(history.dtype)[:, None]
    seasonal = history[:, length - season + ahead % season]
    mean = history[:, -season if season > 1 else 0 :].mean(1, keepdim=True).expand(-1, horizon, -1)
    return torch.stack((last, drift, seasonal, mean), 1)
