"""The step from one row of a series to the next: found in its times, checked, and gone on with."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

import numpy as np

from dlx.errors import UsageError
from dlx.processors.series.times import DAY, SECOND, TimeFormat, Times

Kind = Literal["clock", "day", "business_day", "month"]
UNITS = {"s": SECOND, "min": 60 * SECOND, "h": 3600 * SECOND, "d": DAY, "w": 7 * DAY}
MONTHS = {"mo": 1, "q": 3, "y": 12}
NAMES = "such as 15min, 1h, 1d, 1w, 1mo, 1q, 1y or business_day"
FEWEST_WEEKDAYS = 10  # rows from Monday to Friday alone that make business days of days


@dataclass(frozen=True)
class Step:
    """How far a row is from the one before it.

    clock: microseconds that pass. day: microseconds, whole days, by the clock on the wall, so that days of 23 hours count.
    month: months by the calendar, on the same day of each, or on each one's last. business_day: from Monday to Friday; a
    weekday without a row is a holiday.
    """

    kind: Kind
    size: int

    def __str__(self) -> str:
        if self.kind == "business_day":
            return "business_day"
        units = MONTHS if self.kind == "month" else UNITS
        unit = (
            next(name for name in reversed(units) if self.size % units[name] == 0)
            if self.size % min(units.values()) == 0
            else ""
        )
        return f"{self.size // units[unit]}{unit}" if unit else f"{self.size / SECOND:g}s"

    def places(self, times: Times) -> tuple[np.ndarray, np.ndarray]:
        """Count the steps (N,) from the first time to each, and say which times lie between two steps."""
        if self.kind == "clock":
            whole, rest = np.divmod(times.instant - times.instant[:1], self.size)
            return whole, rest != 0
        if self.kind == "day":
            whole, rest = np.divmod(times.local - times.local[:1], self.size)
            return whole, rest != 0
        days, moments = np.divmod(times.local, DAY)
        if self.kind == "business_day":
            dates = days.astype("datetime64[D]")
            return np.busday_count(dates[:1], dates), (moments != moments[:1]) | ~np.is_busday(dates)
        months = _months(days)
        whole, rest = np.divmod(months - months[:1], self.size)
        same, last = _day(days) == _day(days[:1]), _is_last(days)
        return whole, (rest != 0) | (moments != moments[:1]) | ~(last if last[:1].all() and last.all() else same)

    def onwards(self, times: Times, count: int, form: TimeFormat) -> Times:
        """Return the times that follow the last of some."""
        return self.at(times, self.places(times)[0][-1] + 1 + np.arange(count), form)

    def at(self, times: Times, places: np.ndarray, form: TimeFormat) -> Times:
        """Return the times so many steps behind the first of some."""
        if self.kind == "clock":
            return form.of_instants(times.instant[0] + places * self.size)
        if self.kind == "day":
            return form.of_clocks(times.local[0] + places * self.size)
        days, moments = np.divmod(times.local, DAY)
        if self.kind == "business_day":
            dates = np.busday_offset(days[0].astype("datetime64[D]"), places, roll="forward")
            return form.of_clocks(dates.astype(np.int64) * DAY + moments[0])
        months = _months(days[:1]) + places * self.size
        first = months.astype("datetime64[M]").astype("datetime64[D]").astype(np.int64)
        length = (months + 1).astype("datetime64[M]").astype("datetime64[D]").astype(np.int64) - first
        day = length - 1 if _is_last(days).all() else np.minimum(_day(days[:1]), length - 1)
        return form.of_clocks((first + day) * DAY + moments[0])

    def season(self) -> int:
        """Return the steps of the season one would try first: a day of hours, a week of days, a year of months."""
        if self.kind == "business_day":
            return 5
        if self.kind == "month":
            return max(12 // self.size, 1)
        if self.kind == "clock":
            return DAY // self.size if DAY % self.size == 0 else 1
        return {DAY: 7, 7 * DAY: 52}.get(self.size, 1)


def parse_step(text: str) -> Step:
    """Read a step as a config writes it; raises UsageError."""
    if text == "business_day":
        return Step("business_day", 1)
    found = re.fullmatch(r"([1-9][0-9]{0,5})(s|min|h|d|w|mo|q|y)", text)
    if not found:
        raise UsageError(f"'{text}' is no step from row to row; write one {NAMES}")
    count, unit = int(found[1]), found[2]
    if unit in MONTHS:
        return Step("month", count * MONTHS[unit])
    return Step("day" if unit in "dw" or count * UNITS[unit] % DAY == 0 else "clock", count * UNITS[unit])


def infer(times: Times) -> Step | None:
    """Find the step of ascending times: the distance found most often; None where there is no such thing."""
    if len(times) < 3 or (common := _most_common(np.diff(times.instant))) <= 0:
        return None
    if common % DAY and common < DAY - 3600 * SECOND:
        return Step("clock", common)
    days, moments = np.divmod(times.local, DAY)
    if (moments != moments[0]).any():
        return Step("clock", common)
    if (_day(days) == _day(days[0])).all() or _is_last(days).all():
        return Step("month", max(_most_common(np.diff(_months(days))), 1))
    size = _most_common(np.diff(days))
    if size == 1 and len(days) >= FEWEST_WEEKDAYS and np.is_busday(days.astype("datetime64[D]")).all():
        return Step("business_day", 1)
    return Step("day", size * DAY)


def _most_common(values: np.ndarray) -> int:
    found, counts = np.unique(values, return_counts=True)
    return int(found[counts.argmax()])


def _months(days: np.ndarray) -> np.ndarray:
    return days.astype("datetime64[D]").astype("datetime64[M]").astype(np.int64)


def _day(days: np.ndarray) -> np.ndarray:
    """Return the days within their months, counted from 0."""
    dates = days.astype("datetime64[D]")
    return (dates - dates.astype("datetime64[M]")).astype(np.int64)


def _is_last(days: np.ndarray) -> np.ndarray:
    return _months(days + 1) != _months(days)
