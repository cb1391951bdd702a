"""Time series of the user's own, from a CSV file."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Annotated

from pydantic import Field

from dlx.core import Source
from dlx.data.options import Batching, Checkpoint
from dlx.data.series.options import SeriesEncoding, TimeSplits, Windowing
from dlx.data.series.source import SeriesOptions, as_series, series_source
from dlx.errors import ComponentError, UsageError, unknown
from dlx.processors.csv.cells import Cells
from dlx.processors.series.reading import open_table, read_series
from dlx.processors.series.series import Columns, Gaps, Reading
from dlx.processors.series.steps import Step, parse_step
from dlx.processors.series.times import check_timezone
from dlx.registry import sources
from dlx.registry.types import DataPath, OptionGroup

log = logging.getLogger("dlx")
MISSING = ["", "?", "NA", "N/A", "NaN", "nan", "NULL", "null"]


@dataclass(frozen=True, kw_only=True)
class SeriesColumns(OptionGroup):
    """What the columns are for: the time, the name of a row's series, what is forecast, read of the past, and known ahead.

    `static` ones say what a series is.
    """

    time: str | None = None
    series_id: str | None = None
    targets: list[str] | None = None
    inputs: list[str] | None = None
    known: list[str] | None = None
    static: list[str] | None = None


@dataclass(frozen=True)
class SeriesFile(OptionGroup):
    """How the file is written: what parts cells, the clocks' time zone, the step from row to row, and what is done about gaps.

    Lines above the header that begin with `comment` are not read.
    """

    delimiter: Annotated[str, Field(min_length=1, max_length=1)] = ","
    timezone: str | None = None
    step: str | None = None
    gaps: Gaps = "error"
    missing_values: list[str] = field(default_factory=lambda: list(MISSING))
    comment: str = ""


@sources("series_csv")
def series_csv(
    seed: int,
    checkpoint: Checkpoint,
    *,
    path: DataPath,
    columns: SeriesColumns,
    windowing: Windowing,
    written: SeriesFile,
    splits: TimeSplits,
    encoding: SeriesEncoding,
    batching: Batching,
) -> Source:
    """Time series from a CSV file with a header: wide, a column each, or long, with a column `series_id` that names a row's series.

    `time` is the column of ISO dates (the first one unless named), `targets` what is forecast (every other column unless
    named), `inputs` what is read of the past only, `known` what is known ahead, such as holidays, `static` what never
    changes within a series, in numbers or words, such as the town of a shop; no other column is read.
    The step between rows is found and checked; rows twice, out of order or missing are told with their line, and
    `gaps: previous` repeats the row before instead. Splits go by time: `val` and `test` are shares, counts of rows, or the
    dates of their first rows. A forecast of validation or test may look back into the part before it; scales are those of
    the training part, of all series together or, with `scale: series`, of each alone.
    """
    kept = as_series(checkpoint.processor)
    cells = open_table(path, written.delimiter, written.comment)
    reading = kept.reading if kept else _reading(cells, columns, written)
    series, step, form = read_series(cells, reading)
    if kept is None:
        reading = replace(reading, step=step)
    options = SeriesOptions(windowing, splits, encoding, batching)
    return series_source(seed, checkpoint, series, reading, form, options)


def _reading(cells: Cells, wishes: SeriesColumns, written: SeriesFile) -> Reading:
    if written.timezone is not None and (fault := check_timezone(written.timezone)):
        raise ComponentError(fault, ("timezone",))
    columns, step = _columns(cells, wishes), _step(written)
    missing, timezone = written.missing_values, written.timezone
    return Reading(columns, written.delimiter, missing, timezone, step, written.gaps, written.comment)


def _step(written: SeriesFile) -> Step | None:
    try:
        return parse_step(written.step) if written.step else None
    except UsageError as error:
        raise ComponentError(str(error), ("step",)) from None


def _columns(cells: Cells, wishes: SeriesColumns) -> Columns:
    """Give every column its one use; ComponentError tells names that are not there, and those with two uses."""
    names = list(cells.names)
    time = wishes.time or names[0]
    used: dict[str, str] = {}
    for use, listed in _uses(wishes, time):
        for place, name in enumerate(listed):
            path = (use, place) if use not in ("time", "series_id") else (use,)
            if name not in names:
                raise ComponentError(f"'{name}': {unknown('column', name, names)}", path)
            if name in used:
                told = f"'{name}' is in `{used[name]}` already"
                ahead = "; what is forecast is not known ahead" if {use, used[name]} == {"known", "targets"} else ""
                raise ComponentError(f"{told}{ahead}; a column has one use", path)
            used[name] = use
    if wishes.static and wishes.series_id is None:
        raise ComponentError(
            "tell series apart, and here is one only; name the column of their names in `series_id`", ("static",)
        )
    targets = wishes.targets or [name for name in names if name not in used]
    if not targets:
        raise ComponentError("no column is left to be forecast; name some in `targets`", ("targets",))
    if unread := [name for name in names if name not in used and name not in targets]:
        log.warning("%s: not read: %s", cells.file, ", ".join(unread))
    return Columns(time, wishes.series_id, targets, wishes.inputs or [], wishes.known or [], wishes.static or [])


def _uses(wishes: SeriesColumns, time: str) -> list[tuple[str, Sequence[str]]]:
    given = {"time": [time], "series_id": [wishes.series_id] if wishes.series_id else []}
    lists = {"targets": wishes.targets, "inputs": wishes.inputs, "known": wishes.known, "static": wishes.static}
    return [*given.items(), *((use, listed or []) for use, listed in lists.items())]
