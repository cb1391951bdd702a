"""From series to a data set: borders in time, scales of the training part, and windows."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch

from dlx.core import Processor
from dlx.data.options import Batching, Checkpoint
from dlx.data.series.leaks import refuse_future
from dlx.data.series.options import SeriesEncoding, TimeSplits, Windowing
from dlx.data.series.splits import part
from dlx.data.series.windows import Layout, Windows
from dlx.errors import ComponentError, UsageError
from dlx.processors.series.processor import SeriesProcessor
from dlx.processors.series.scales import Scales
from dlx.processors.series.series import Reading, Series
from dlx.processors.series.static import fit_static
from dlx.processors.series.times import TimeFormat
from dlx.processors.table.scaling import fit_scaler

EVALUATION_BATCH = 256  # windows


@dataclass(frozen=True)
class SeriesOptions:
    """What the config says of windows, splits, encoding and batches."""

    windowing: Windowing
    splits: TimeSplits
    encoding: SeriesEncoding
    batching: Batching


def series_source(
    seed: int, checkpoint: Checkpoint, series: Sequence[Series], reading: Reading, form: TimeFormat, options: SeriesOptions
) -> Windows:
    """Make the data set of some series; a checkpoint's processor keeps the scales that it was trained by."""
    kept = as_series(checkpoint.processor)
    borders = part(series, options.splits, reading.timezone)
    parts = {split: [borders.rows(one, split) for one in series] for split in borders.spans}
    processor = kept or _fit(series, reading, form, parts, options)
    known = [processor.known(one, one.times.taken(slice(0, len(one.values)))) for one in series]
    season = _season(options.windowing, reading)
    facts = _facts(series, parts, processor, season, known[0].shape[1])
    wanted = checkpoint.wanted_splits or frozenset(parts)
    starts = {split: _starts(series, rows, split, options.windowing) for split, rows in parts.items() if split in wanted}
    values = torch.from_numpy(np.concatenate([processor.scales.values(one.values, one.name) for one in series]))
    ahead = torch.from_numpy(np.concatenate([processor.scales.known(one) for one in known])) if known[0].shape[1] else None
    batch_size = options.batching.batch_size
    source = Windows(
        seed, values, ahead, starts, _layout(series, parts, processor, season), facts, processor,
        batch_size=batch_size, drop_last=options.batching.drop_last, evaluation_batch_size=max(batch_size, EVALUATION_BATCH),
    )  # fmt: skip
    source.digests = {split: _digest(series, parts[split], options.windowing) for split in starts}
    source.drawn = frozenset(starts) - {"train"}
    return source


def as_series(processor: Processor | None) -> SeriesProcessor | None:
    """Return a checkpoint's processor as one of series; UsageError where it reads something else."""
    if processor is not None and not isinstance(processor, SeriesProcessor):
        raise UsageError(f"the checkpoint's data are no time series: its processor is '{processor.name}'")
    return processor


Parts = Mapping[str, Sequence[tuple[int, int]]]


def _fit(series: Sequence[Series], reading: Reading, form: TimeFormat, parts: Parts, options: SeriesOptions) -> SeriesProcessor:
    """Fit scales to the rows of the training part, and find what static columns hold."""
    calendar = options.encoding.calendar or []
    windowing, columns = options.windowing, reading.columns
    refuse_future(series, columns, windowing.horizon)
    static = fit_static(columns.static, [one.static for one in series]) if columns.static else None
    made = SeriesProcessor(reading, form, _no_scales(), windowing.look_back, windowing.horizon, calendar, (), static)
    rows = parts["train"]
    values = np.concatenate([one.values[a:b] for one, (a, b) in zip(series, rows, strict=True)])
    ahead = np.concatenate(
        [made.known(one, one.times.taken(slice(0, b)))[a:b] for one, (a, b) in zip(series, rows, strict=True)]
    )
    past, future = (_fitted(options.encoding, some) for some in (values, ahead))
    own = _own_scales(series, rows, options.encoding) if options.encoding.scale == "series" else {}
    scales = Scales(*past, *future, own)
    told = _told(series, form, parts, windowing)
    return SeriesProcessor(reading, form, scales, windowing.look_back, windowing.horizon, calendar, told, static)


def _fitted(encoding: SeriesEncoding, values: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return what is taken off every column, and what it is divided by then."""
    state = fit_scaler(encoding.scaling, values).state_dict()
    return np.asarray(state["offset"]), np.asarray(state["divisor"])


def _own_scales(
    series: Sequence[Series], rows: Sequence[tuple[int, int]], encoding: SeriesEncoding
) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """Fit the scale of each series to its own rows of the training part."""
    own = {}
    for one, (begin, end) in zip(series, rows, strict=True):
        if begin == end:
            told = f"the series '{one.name}' has no row in the training part, so it has no scale of its own"
            raise ComponentError(f"{told}; leave it out, or set `scale: global`", ("scale",))
        own[one.name] = _fitted(encoding, one.values[begin:end])
    return own


def _layout(series: Sequence[Series], parts: Parts, processor: SeriesProcessor, season: int) -> Layout:
    """Say where each series lies in the array of all, when it begins, and by which numbers it is scaled where by its own."""
    first = np.array([one.times.instant[0] for one in series])
    every = np.unique(np.concatenate([one.times.instant[: len(one.values)] for one in series])) if len(series) > 1 else first
    begins = np.cumsum([0, *(len(one.values) for one in series)])[:-1]
    words = processor.scales.words([one.name for one in series], processor.targets)
    if words:
        errors = [
            _seasonal_error([one], [rows], processor.targets, season) for one, rows in zip(series, parts["train"], strict=True)
        ]
        words["seasonal_error"] = torch.tensor(errors, dtype=torch.float64)
    return Layout(torch.from_numpy(begins), torch.from_numpy(np.searchsorted(every, first)), words)


def _no_scales() -> Scales:
    return Scales(np.zeros(0), np.zeros(0), np.zeros(0), np.zeros(0))


def _told(series: Sequence[Series], form: TimeFormat, parts: Parts, windowing: Windowing) -> list[str]:
    """Say which rows and how many windows each part has, and what was filled in."""
    lines = []
    for split, rows in parts.items():
        spans = [one.times.taken(slice(a, b)) for one, (a, b) in zip(series, rows, strict=True) if b > a]
        first, last = min(spans, key=lambda times: times.instant[0]), max(spans, key=lambda times: times.instant[-1])
        ends = " to ".join(form.write(times.taken(slice(at, at + 1 or None)))[0] for times, at in ((first, 0), (last, -1)))
        count, windows = sum(b - a for a, b in rows), len(_starts(series, rows, split, windowing))
        lines.append(f"{split:5}  {ends}: {count:,} rows, {windows:,} windows")
    if filled := sum(one.filled for one in series):
        lines.append(f"{filled:,} row{'s' * (filled > 1)} with gaps, filled with the values before")
    return lines


def _starts(series: Sequence[Series], rows: Sequence[tuple[int, int]], split: str, windowing: Windowing) -> torch.Tensor:
    """Return the first rows, in the array of all series, of windows whose horizon lies within a part; they may look back before it."""
    found, before = [], 0
    for one, (begin, end) in zip(series, rows, strict=True):
        first = max(begin - windowing.look_back, 0)
        found.append(torch.arange(before + first, before + max(end - windowing.horizon - windowing.look_back + 1, first)))
        before += len(one.values)
    starts = torch.cat(found)
    if not len(starts):
        length = max(end - begin for begin, end in rows)
        wanted = windowing.horizon + (windowing.look_back if split == "train" else 0)
        told = f"the {split} part has {length:,} rows, and a window wants {wanted:,}; give it more, or set a smaller horizon"
        raise ComponentError(f"{told}{' or look_back' * (split == 'train')}", (split,) if split != "train" else ("look_back",))
    return starts


def _season(windowing: Windowing, reading: Reading) -> int:
    """Return the steps of a season: those asked for, or those of the step, where the model looks back that far."""
    if windowing.season is None:
        assert reading.step is not None
        usual = reading.step.season()
        return usual if usual <= windowing.look_back else 1
    if windowing.season > windowing.look_back:
        raise ComponentError(
            f"a season of {windowing.season} rows reaches further back than look_back ({windowing.look_back}), so that no "
            "forecast can repeat it",
            ("season",),
        )
    return windowing.season


def _facts(series: Sequence[Series], parts: Parts, processor: SeriesProcessor, season: int, num_known: int) -> dict[str, Any]:
    columns, scales = processor.reading.columns, processor.scales
    targets = len(columns.targets)
    return {
        "input_shape": [processor.look_back, len(columns.values)],
        "num_features": len(columns.values),
        "look_back": processor.look_back,
        "horizon": processor.horizon,
        "num_series": len(columns.values),
        "num_targets": targets,
        "num_known": num_known,
        "target_names": list(columns.targets),
        "target_mean": scales.mean[:targets].tolist(),
        "target_std": scales.std[:targets].tolist(),
        "season": season,
        "seasonal_error": _seasonal_error(series, parts["train"], targets, season),
    }


def _seasonal_error(series: Sequence[Series], rows: Sequence[tuple[int, int]], targets: int, season: int) -> list[float]:
    """Compute the mean absolute difference between values a season apart within the training part, of each target."""
    spans = [one.values[a:b, :targets] for one, (a, b) in zip(series, rows, strict=True) if b - a > season]
    parts = [np.abs(values[season:] - values[:-season]) for values in spans]
    return np.concatenate(parts).mean(0).tolist() if parts else [0.0] * targets


def _digest(series: Sequence[Series], rows: Sequence[tuple[int, int]], windowing: Windowing) -> str:
    """Compute the sha256 of the rows that a part's windows read."""
    made = hashlib.sha256()
    for one, (begin, end) in zip(series, rows, strict=True):
        span = slice(max(begin - windowing.look_back, 0), end)
        made.update(f"{one.name} {begin} {end} {' '.join(one.static)}".encode())
        for values in (one.times.instant[: len(one.values)], one.values, one.known[: len(one.values)]):
            made.update(np.ascontiguousarray(values[span]).tobytes())
    return made.hexdigest()
