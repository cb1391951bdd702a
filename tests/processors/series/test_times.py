import numpy as np
import pytest

from dlx.errors import UsageError
from dlx.processors.csv.cells import of_rows
from dlx.processors.rows import Row
from dlx.processors.series.calendar import calendar_features
from dlx.processors.series.steps import infer, parse_step
from dlx.processors.series.times import DAY, read_times


def read(texts, timezone=None):
    cells = of_rows([Row([text], "f.csv", line) for line, text in enumerate(texts, 2)], ["t"])
    return read_times(cells, "t", timezone)


def days(first, count):
    return [str(np.datetime64(first) + n) for n in range(count)]


WEEKDAYS = [day for day in days("2024-01-01", 30) if np.is_busday(np.datetime64(day))]


@pytest.mark.parametrize(
    ("texts", "step", "season", "ahead"),
    [
        (["1949-01", "1949-02", "1949-03"], "1mo", 12, ["1949-04", "1949-05"]),
        (["2024-01-31", "2024-02-29", "2024-03-31"], "1mo", 12, ["2024-04-30", "2024-05-31"]),
        (["2020-01-01", "2020-04-01", "2020-07-01"], "1q", 4, ["2020-10-01", "2021-01-01"]),
        (["1990", "1991", "1992"], "1y", 1, ["1993", "1994"]),
        (days("2024-02-26", 4), "1d", 7, ["2024-03-01", "2024-03-02"]),
        (WEEKDAYS, "business_day", 5, ["2024-01-31", "2024-02-01"]),
        (["2024-01-01", "2024-01-08", "2024-01-15"], "1w", 52, ["2024-01-22", "2024-01-29"]),
        ([f"2024-01-01T{n:02}:30" for n in range(5)], "1h", 24, ["2024-01-01T05:30", "2024-01-01T06:30"]),
        (
            [f"2024-01-01 00:{n:02}:00Z" for n in (0, 15, 30)],
            "15min",
            96,
            ["2024-01-01 00:45:00+00:00", "2024-01-01 01:00:00+00:00"],
        ),
    ],
)
def test_the_step_is_found_and_gone_on_with(texts, step, season, ahead):
    times, form = read(texts)
    found = infer(times)
    assert str(found) == step
    assert found.season() == season
    assert str(parse_step(step)) == step
    assert form.write(found.onwards(times, 2, form)) == ahead
    assert found.places(times)[0].tolist() == list(range(len(texts)))
    assert not found.places(times)[1].any()


def test_an_hour_that_comes_twice_is_two_hours_where_the_time_zone_is_known():
    texts = ["2024-10-27 01:00", "2024-10-27 02:00", "2024-10-27 02:00", "2024-10-27 03:00"]
    times, form = read(texts, "Europe/Berlin")
    assert np.diff(times.instant).tolist() == [3_600_000_000] * 3
    assert form.write(times)[1:3] == ["2024-10-27 02:00+02:00", "2024-10-27 02:00+01:00"]
    backwards, _ = read(texts[::-1], "Europe/Berlin")
    assert np.diff(backwards.instant).tolist() == [-3_600_000_000] * 3


def test_an_hour_that_clocks_leave_out_is_told_with_its_line():
    with pytest.raises(UsageError, match=r"f\.csv:3: '2024-03-31 02:00' is left out by clocks in Europe/Berlin"):
        read(["2024-03-31 01:00", "2024-03-31 02:00"], "Europe/Berlin")


def test_days_of_23_and_25_hours_are_days():
    times, form = read(days("2024-03-29", 4), "Europe/Berlin")
    assert infer(times).places(times)[0].tolist() == [0, 1, 2, 3]
    assert form.write(infer(times).onwards(times, 1, form)) == ["2024-04-02"]


@pytest.mark.parametrize("texts", [["2024-01-01", "x"], ["2024-01-01", ""], ["2024-01-01", "2024-02-30"]])
def test_what_is_no_time_is_told_with_its_line(texts):
    with pytest.raises(UsageError, match=r"f\.csv:3: '.*' in 't' is no time as in 2024-01-01"):
        read(texts)


@pytest.mark.parametrize("text", ["1 h", "0d", "h", "1m", "week"])
def test_what_is_no_step_is_refused(text):
    with pytest.raises(UsageError, match="is no step"):
        parse_step(text)


def test_calendar_features_are_points_on_circles():
    monday_noon, quarter = np.datetime64("2024-01-01T12:00", "us"), np.datetime64("2024-04-01", "us")
    local = np.array([monday_noon, quarter]).astype(np.int64)
    hour, weekday, month = (calendar_features(local, [cycle]) for cycle in ("hour", "weekday", "month"))
    assert hour == pytest.approx(np.array([[0, -1], [0, 1]]), abs=1e-12)
    assert weekday == pytest.approx(np.array([[0, 1], [0, 1]]), abs=1e-12)
    assert month == pytest.approx(np.array([[0, 1], [1, 0]]), abs=1e-12)
    last = calendar_features(np.array([np.datetime64("2024-12-31", "us")]).astype(np.int64), ["day_of_year"])
    assert last == pytest.approx(np.array([[np.sin(2 * np.pi * 365 / 366), np.cos(2 * np.pi * 365 / 366)]]))
    assert calendar_features(np.array([0, DAY]), []).shape == (2, 0)
