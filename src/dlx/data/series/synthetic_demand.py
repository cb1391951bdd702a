"""Hourly demand that is made by rule: a trend, a day, a week, noise, and days that are known to be special."""

from __future__ import annotations

import math

import numpy as np
import torch
from pydantic import NonNegativeInt, PositiveInt

from dlx.core import Source
from dlx.data.options import Batching, Checkpoint
from dlx.data.order import generator
from dlx.data.series.options import SeriesEncoding, TimeSplits, Windowing
from dlx.data.series.source import SeriesOptions, as_series, series_source
from dlx.processors.series.series import Columns, Reading, Series
from dlx.processors.series.steps import Step
from dlx.processors.series.times import SECOND, TimeFormat
from dlx.registry import sources

HOUR = 3600 * SECOND
START = int(np.datetime64("2023-01-02", "us").astype(np.int64))  # a Monday
TREND, DAY, WEEK, NOISE, EVENT = 10.0, 15.0, 8.0, 3.0, -20.0  # over a year; amplitudes; deviation; on a special day
LASTING, RARE = 0.7, 12  # how much of an hour's noise the next one keeps; days to a special one


@sources("synthetic_demand")
def synthetic_demand(
    seed: int,
    checkpoint: Checkpoint,
    *,
    windowing: Windowing,
    splits: TimeSplits,
    encoding: SeriesEncoding,
    batching: Batching,
    rows: PositiveInt = 6_000,
    series_seed: NonNegativeInt = 0,
) -> Source:
    """Hourly demand made by rule: 100, a trend, two seasons (a day, a week), noise that lasts some hours, and special days.

    Those are 1 in the column `event`, which is known ahead: demand is 20 less then. `series_seed` draws days and noise, so
    that the series is the same whatever the experiment's seed. Nothing is read or downloaded.
    """
    columns = Columns("time", None, ["demand"], (), ["event"])
    reading = Reading(columns, ",", ("",), None, Step("clock", HOUR), "error")
    form = TimeFormat(unit="m")
    kept = as_series(checkpoint.processor)
    made = made_series(rows, series_seed, form)
    options = SeriesOptions(windowing, splits, encoding, batching)
    return series_source(seed, checkpoint, [made], kept.reading if kept else reading, form, options)


def made_series(rows: int, series_seed: int, form: TimeFormat) -> Series:
    """Make the series: values (rows, 1), known (rows, 1)."""
    draw = generator(series_seed, rows)
    hours = np.arange(rows)
    special = (torch.rand(rows // 24 + 1, generator=draw) < 1 / RARE).double().numpy()
    event = special[hours // 24]
    noise, shocks = np.zeros(rows), torch.randn(rows, generator=draw, dtype=torch.float64).numpy()
    level = 0.0
    for hour in range(rows):
        level = LASTING * level + math.sqrt(1 - LASTING**2) * NOISE * shocks[hour]
        noise[hour] = level
    day, week = (np.sin(2 * np.pi * hours / period) for period in (24, 168))
    demand = 100 + TREND * hours / 8760 + DAY * day + WEEK * week + EVENT * event + noise
    return Series("", form.of_instants(START + hours * HOUR), demand[:, None], event[:, None], 0)
