"""Settings that all data sets of time series share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, Literal

from pydantic import PositiveInt

from dlx.errors import Fault, Marker, Path
from dlx.processors.series.calendar import Cycle
from dlx.registry.types import OptionGroup


class _Share(Marker):
    """A share of the rows, a count of them, or the date of the first one."""

    def check(self, value: Any, path: Path) -> tuple[Any, list[Fault]]:
        if isinstance(value, str):
            return value, []
        sound = 0 <= value < 1 if isinstance(value, float) else value >= 0
        return value, [] if sound else [Fault(path, f"wants a share below 1, a count of rows, or a date, not {value}")]

    def describe(self) -> str:
        return "a share below 1, a count of rows, or the date of the first row"


Share = Annotated[int | float | str, _Share()]


@dataclass(frozen=True, kw_only=True)
class Windowing(OptionGroup):
    """How far a model looks back and ahead, in rows, and how many rows a season has."""

    look_back: PositiveInt
    horizon: PositiveInt
    season: PositiveInt | None = None


@dataclass(frozen=True)
class TimeSplits(OptionGroup):
    """Where validation and test begin in time; `train` counts the first rows, and leaves those behind the test part unused."""

    train: PositiveInt | None = None
    val: Share = 0.1
    test: Share = 0.2


@dataclass(frozen=True)
class SeriesEncoding(OptionGroup):
    """What the calendar tells ahead, and how columns are scaled: by numbers of the training part, of all series or of each."""

    calendar: list[Cycle] | None = None
    scaling: Literal["standard", "none"] = "standard"
    scale: Literal["global", "series"] = "global"
