"""The processor of time series: dated rows to what a model reads of the past and knows ahead, forecasts to dated answers."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch

from dlx.core import Batch, Processor
from dlx.errors import UsageError
from dlx.processors.series.calendar import Cycle, calendar_features, calendar_names
from dlx.processors.series.reading import open_table, read_series
from dlx.processors.series.scales import Scales
from dlx.processors.series.series import Columns, Reading, Series
from dlx.processors.series.static import StaticColumns
from dlx.processors.series.steps import Step, parse_step
from dlx.processors.series.times import TimeFormat, Times
from dlx.processors.series.window import Window
from dlx.processors.series.writing import ForecastFiles
from dlx.registry import processors


@processors("series")
class SeriesProcessor(Processor):
    """Series to `input` float32 (B, L, V), standardised, targets first, and `known` (B, L + H, K) where there is any.

    `answers` of a forecast are as many as it has steps, each with its date; they are written to a folder as dated rows, with
    a picture of the series that go on. `spans` says in words which rows each split has.
    """

    name = "series"
    writes = True

    def __init__(
        self,
        reading: Reading,
        form: TimeFormat,
        scales: Scales,
        look_back: int,
        horizon: int,
        calendar: Sequence[Cycle] = (),
        spans: Sequence[str] = (),
        static: StaticColumns | None = None,
    ) -> None:
        self.reading, self.form, self.scales = reading, form, scales
        self.static = static or StaticColumns({})
        self.look_back, self.horizon, self.answers = look_back, horizon, horizon
        self.calendar, self.spans = list(calendar), list(spans)
        self.encoded: list[Window] = []
        self.files = ForecastFiles(reading.columns.targets)

    @property
    def targets(self) -> int:
        """Return how many columns are forecast."""
        return len(self.reading.columns.targets)

    @property
    def step(self) -> Step:
        """Return the step from row to row."""
        assert self.reading.step is not None
        return self.reading.step

    def known(self, series: Series, times: Times) -> np.ndarray:
        """Return all that is known ahead at some times: the series' own columns, what it is, then what the calendar tells."""
        own = series.known[: len(times)] if self.reading.columns.known else np.zeros((len(times), 0))
        static = self.static.encode(series.static, f"the series '{series.name}'")
        return np.concatenate((own, np.tile(static, (len(times), 1)), calendar_features(times.local, self.calendar)), 1)

    def read(self, inputs: Iterable[str]) -> Iterator[Window]:
        """Read CSV files with the columns of the training file; each of their series is gone on with from its end."""
        for file in inputs:
            if not os.path.exists(file) and file != "-":
                raise UsageError(f"'{file}' is no file; give a CSV file that ends where the forecast is to begin")
            yield from self.windows(file)

    def windows(self, file: str) -> list[Window]:
        """Cut the ends of the series in a file."""
        cells = open_table(file, self.reading.delimiter, self.reading.comment)
        if lacking := [name for name in self.reading.columns.wanted if name not in cells.names]:
            raise UsageError(f"{file}: lacks the column '{lacking[0]}'; it has {', '.join(cells.names)}")
        found, _, _ = read_series(cells, self.reading)
        return [self._end(series, file) for series in found]

    def _end(self, series: Series, file: str) -> Window:
        past, place = len(series.values), f"{file}: the series '{series.name}'" if series.name else file
        if past < self.look_back:
            raise UsageError(f"{place} has {past} rows with values, and the model looks back at {self.look_back}")
        if self.reading.columns.known and (lacking := past + self.horizon - len(series.times)) > 0:
            names = ", ".join(f"'{name}'" for name in self.reading.columns.known)
            told = (
                f"add {lacking} more row{'s' * (lacking > 1)} at the end, with dates, {names}, and nothing for what is forecast"
            )
            raise UsageError(f"{place}: a forecast of {self.horizon} steps wants {names} ahead; {told}")
        begun = series.times.taken(slice(0, past))
        times = self._joined(series.times, self.step.onwards(begun, self.horizon, self.form), past)
        first = past - self.look_back
        ahead = self.form.write(times.taken(slice(past, None)))
        known = self.known(series, times)[first:]
        return Window(series.name, series.values[first:], known, times.taken(slice(first, None)), ahead, file)

    def _joined(self, times: Times, onwards: Times, past: int) -> Times:
        """Return the times of the past and of the horizon: those that the file has, then those that follow."""
        given = min(len(times) - past, self.horizon)
        one, two = times.taken(slice(0, past + given)), onwards.taken(slice(given, None))
        return Times(np.concatenate((one.instant, two.instant)), np.concatenate((one.local, two.local)))

    def encode(self, examples: list[Window]) -> Batch:
        """Encode the ends of series."""
        self.encoded = list(examples)
        scaled = [self.scales.values(one.values, one.name) for one in examples]
        batch = {"input": torch.from_numpy(np.stack(scaled)), **self.scales.words([one.name for one in examples], self.targets)}
        if examples[0].known.shape[1]:
            batch["known"] = torch.from_numpy(self.scales.known(np.stack([one.known for one in examples])))
        return batch

    def decode(self, prediction: Batch) -> list[dict[str, Any]]:
        """Answer {"series": name, time column: date, target: value, "target 0.9": quantile}, a row a step of each forecast."""
        values = prediction["value"].double().cpu().numpy()
        bands = prediction["quantile"].double().cpu().numpy() if "quantile" in prediction else None
        levels = [f"{level:g}" for level in prediction["level"][0].tolist()] if bands is not None else []
        answers = []
        for row in range(len(values)):
            ends = self.encoded[row] if len(self.encoded) == len(values) else None
            for step in range(values.shape[1]):
                answers.append(self._answer(ends, step, values[row, step], None if bands is None else bands[row, step], levels))
        return answers

    def _answer(
        self, window: Window | None, step: int, values: np.ndarray, bands: np.ndarray | None, levels: list[str]
    ) -> dict[str, Any]:
        columns = self.reading.columns
        named = {columns.series_id: window.name} if window and columns.series_id else {}
        dated: dict[str, Any] = {columns.time: window.ahead[step] if window else step + 1}
        answer = {**named, **dated}
        for place, target in enumerate(columns.targets):
            answer[target] = float(values[place])
            for number, level in enumerate(levels):
                assert bands is not None
                answer[f"{target} {level}"] = float(bands[place, number])
        return answer

    def write(self, answers: list[dict[str, Any]], prediction: Batch, folder: Path) -> None:
        """Write dated rows and a picture of each file gone on with: NAME.forecast.csv and NAME.forecast.png."""
        self.files.write(folder, self.encoded, answers, prediction)

    def remarks(self) -> Iterator[str]:
        """Yield which files were written."""
        for path in self.files.begun.values():
            yield f"wrote {path} and {path.with_suffix('.png').name}"

    def place(self, example: Window) -> str:
        """Return the file of an example."""
        return example.file

    def describe(self) -> list[str]:
        """Say what the columns are for, the step between rows, and which rows each split has."""
        columns = self.reading.columns
        lines = [(columns.time, f"time, a row every {self.step}{f', in {self.form.timezone}' if self.form.timezone else ''}")]
        lines += [(columns.series_id, "tells the series apart")] if columns.series_id else []
        for place, name in enumerate(columns.values):
            kind = "forecast" if place < self.targets else "read of the past"
            lines.append(
                (name, f"{kind}, mean {self.scales.mean[place]:.6g}, deviation {self.scales.std[place]:.6g} in training")
            )
        lines += [(name, "says what a series is") for name in columns.static]
        lines += [(name, "known ahead") for name in [*columns.known, *calendar_names(self.calendar)]]
        lines += [("", "each series scaled by its own mean and deviation")] if self.scales.own else []
        width = min(max(len(name) for name, _ in lines), 30)
        return [f"{name:<{width}}  {what}" for name, what in lines] + self.spans

    def state_dict(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        reading = self.reading
        return {
            "columns": reading.columns.state_dict(),
            "delimiter": reading.delimiter,
            "missing": list(reading.missing),
            "step": str(self.step),
            "gaps": reading.gaps,
            "form": self.form.state_dict(),
            "scales": self.scales.state_dict(),
            "look_back": self.look_back,
            "horizon": self.horizon,
            "calendar": self.calendar,
            "spans": self.spans,
            "static": self.static.state_dict(),
            "comment": reading.comment,
        }

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> SeriesProcessor:
        """Make the processor again."""
        form = TimeFormat.from_state(state["form"])
        reading = Reading(
            Columns(**state["columns"]),
            state["delimiter"],
            state["missing"],
            form.timezone,
            parse_step(state["step"]),
            state["gaps"],
            state.get("comment", ""),  # none in checkpoints of before
        )
        scales, static = Scales.from_state(state["scales"]), StaticColumns(state.get("static", {}))
        return cls(reading, form, scales, state["look_back"], state["horizon"], state["calendar"], state["spans"], static)
