"""Dates and times as they are written, to instants and wall clocks and back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from dlx.processors.csv.cells import Cells, Faults

SECOND = 1_000_000  # microseconds, in which all times are counted
DAY = 86_400 * SECOND
STAMP = pa.timestamp("us")
OFFSET = r"\d(Z|[+-]\d{2}:?\d{2})$"
WRITTEN = {4: "Y", 7: "M", 10: "D", 16: "m", 19: "s"}  # the length of a time without its offset, and NumPy's unit of it


@dataclass(frozen=True)
class Times:
    """Moments in microseconds since 1970: `instant` (N,) in UTC and `local` (N,) as a clock on the wall shows them."""

    instant: np.ndarray
    local: np.ndarray

    def __len__(self) -> int:
        return len(self.instant)

    def taken(self, rows: Any) -> Times:
        """Return some of them."""
        return Times(self.instant[rows], self.local[rows])


@dataclass(frozen=True)
class TimeFormat:
    """How times are written: the time zone of clocks, whether an offset stands behind, to what unit, and what parts day and hour."""

    timezone: str | None = None
    has_offset: bool = False
    unit: str = "s"
    separator: str = " "

    def write(self, times: Times) -> list[str]:
        """Write times as the file that was read writes them; with a time zone, the offset stands behind hours."""
        stamps = times.local.astype("datetime64[us]").astype(f"datetime64[{self.unit}]")
        text = [str(one).replace("T", self.separator) for one in np.datetime_as_string(stamps)]
        if self.unit in "YMD" or not (self.timezone or self.has_offset):
            return text
        apart = ((times.local - times.instant) // (60 * SECOND)).tolist()
        return [f"{one}{_offset(minutes)}" for one, minutes in zip(text, apart, strict=True)]

    def of_instants(self, instant: np.ndarray) -> Times:
        """Return instants with what clocks show then."""
        return Times(instant, _on_the_wall(instant, self.timezone))

    def of_clocks(self, local: np.ndarray) -> Times:
        """Return what clocks show with the instants: of an hour that comes twice the first, of one that is left out the next."""
        if self.timezone is None:
            return Times(local, local)
        return Times(_assume(local, self.timezone, "earliest"), local)

    def state_dict(self) -> dict[str, Any]:
        """Return all of it as JSON values."""
        return {"timezone": self.timezone, "has_offset": self.has_offset, "unit": self.unit, "separator": self.separator}

    @classmethod
    def from_state(cls, state: Mapping[str, Any]) -> TimeFormat:
        """Make it again."""
        return cls(**state)


def check_timezone(timezone: str | None) -> str:
    """Say why a name is no time zone; "" where it is one."""
    try:
        pc.assume_timezone(pa.array([0], pa.int64()).cast(STAMP), timezone or "UTC")
    except pa.ArrowInvalid:
        return f"'{timezone}' is no time zone; they are named as in Europe/Berlin"
    return ""


def read_times(cells: Cells, column: str, timezone: str | None) -> tuple[Times, TimeFormat]:
    """Read a column of ISO dates or times; UsageError tells the line of each that is none, or that no clock shows."""
    text, faults = cells[column], Faults()
    first = text[0].as_py() if len(text) else ""
    has_offset = bool(pc.match_substring_regex(text[:1], OFFSET)[0].as_py()) if len(first) > 10 else False
    bare = first.removesuffix("Z") if first.endswith("Z") else first[: len(first) - 6 * has_offset]
    unit = WRITTEN.get(len(bare), "s")
    stamps = _stamps(text, unit, has_offset)
    bad = np.flatnonzero(stamps.is_null().to_numpy(zero_copy_only=False))
    like = f"as in {first}" if len(bad) < len(text) else "as in 2024-05-31 or 2024-05-31 14:30:00"
    faults.add(cells, bad, lambda row: f"'{text[row].as_py()}' in '{column}' is no time {like}")
    faults.check()
    given = stamps.cast(pa.int64()).to_numpy(zero_copy_only=False)
    form = TimeFormat(timezone, has_offset, unit, "T" if bare[10:11] == "T" else " ")
    if has_offset:
        return form.of_instants(given), form
    return (Times(given, given) if timezone is None else _settled(cells, column, given, timezone)), form


def _stamps(text: pa.Array, unit: str, has_offset: bool) -> pa.Array:
    """Read times, null where one is none."""
    rest = {"Y": "-01-01", "M": "-01"}.get(unit, "")
    whole = pc.binary_join_element_wise(text, pa.scalar(rest, text.type), pa.scalar("", text.type)) if rest else text
    kind = pa.timestamp("us", "UTC") if has_offset else STAMP
    try:
        return pc.cast(whole, kind)
    except pa.ArrowInvalid:
        return pa.array([_stamp(one, kind) for one in whole.to_pylist()], kind)


def _stamp(text: str, kind: pa.DataType) -> Any:
    try:
        return pc.cast(pa.scalar(text), kind)
    except pa.ArrowInvalid:
        return None


def _settled(cells: Cells, column: str, local: np.ndarray, timezone: str) -> Times:
    """Find the instants of what clocks show: of an hour that comes twice, in the order of the rows, both."""
    early, late = (_assume(local, timezone, which) for which in ("earliest", "latest"))
    faults = Faults()
    skipped = np.flatnonzero(_on_the_wall(early, timezone) != local)
    faults.add(cells, skipped, lambda row: f"'{cells[column][row].as_py()}' is left out by clocks in {timezone} (summer time)")
    faults.check()
    instant, twice = early.copy(), np.flatnonzero(early != late)
    descending = len(local) > 1 and local[0] > local[-1]
    seen: set[int] = set()
    for row in twice[::-1].tolist() if descending else twice.tolist():
        instant[row] = late[row] if int(local[row]) in seen else early[row]
        seen.add(int(local[row]))
    return Times(instant, local)


def _assume(local: np.ndarray, timezone: str, which: str) -> np.ndarray:
    stamps = pa.array(local, pa.int64()).cast(STAMP)
    return np.asarray(pc.assume_timezone(stamps, timezone, ambiguous=which, nonexistent=which).cast(pa.int64()))


def _on_the_wall(instant: np.ndarray, timezone: str | None) -> np.ndarray:
    if timezone is None:
        return instant
    stamps = pa.array(instant, pa.int64()).cast(pa.timestamp("us", timezone))
    return np.asarray(pc.local_timestamp(stamps).cast(pa.int64()))


def _offset(minutes: int) -> str:
    hours, rest = divmod(abs(minutes), 60)
    return f"{'-' if minutes < 0 else '+'}{hours:02}:{rest:02}"
