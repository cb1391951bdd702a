"""Long files: what tells series apart, facts of each, and scales of each."""

import numpy as np
import pytest
import torch

from dlx import registry
from dlx.errors import UsageError
from dlx.processors.series.processor import SeriesProcessor
from dlx.testing.common import build

DAYS = [str(np.datetime64("2024-01-01") + n) for n in range(40)]
SHOPS = {"b": ("50", "town", 1000.0), "a": ("7.5", "coast", 0.0)}  # size, place, level


def source(file, processor=None, **choices):
    asked = {"path": str(file), "look_back": 5, "horizon": 2, "val": 8, "test": 10, "series_id": "shop", "targets": ["y"]}
    return build(
        registry.sources, "series_csv", {**asked, **choices}, {"seed": 3, "processor": processor, "wanted_splits": None}
    )


def lines(days=range(40), shops=SHOPS):
    return [
        f"{DAYS[n]},{name},{level + (1 + level) * n},{size},{town}" for n in days for name, (size, town, level) in shops.items()
    ]


def write(folder, rows):
    (folder / "s.csv").write_text("\n".join(["day,shop,y,size,place", *rows]))
    return folder / "s.csv"


def test_static_columns_stand_beside_every_step_as_numbers_and_as_one_feature_a_word(tmp_path):
    made = source(write(tmp_path, lines()), static=["size", "place"], scaling="none")
    assert made.facts["num_known"] == 3
    batch = next(iter(made.evaluate(None, "test")))
    size, coast, town = (batch["known"][..., n] for n in range(3))
    first = batch["input"][:, 0, 0] < 500  # the series are in the order of their names
    assert (size[first] == 7.5).all()
    assert (coast[first] == 1).all()
    assert (town[~first] == 1).all()
    assert (size[~first] == 50).all()
    assert "place  says what a series is" in made.processor.describe()


def test_a_static_column_that_changes_is_told_with_its_line(tmp_path):
    rows = lines()
    rows[6] = rows[6].replace("town", "coast")
    with pytest.raises(UsageError, match=r"s\.csv:8: 'place' of the series 'b' is not 'town' any more, .* name it in `known`"):
        source(write(tmp_path, rows), static=["place"])
    rows[6] = rows[6].replace("coast", "")
    with pytest.raises(UsageError, match=r"s\.csv:8: 'place' of the series 'b' has no value"):
        source(write(tmp_path, rows), static=["place"])


def test_static_columns_want_series_that_they_tell_apart(tmp_path):
    with pytest.raises(UsageError, match="name the column of their names in `series_id`"):
        source(write(tmp_path, lines(shops={"a": SHOPS["a"]})), static=["size"], series_id=None)


def test_a_word_that_training_did_not_know_is_refused(tmp_path):
    made = source(write(tmp_path, lines()), static=["place"])
    again = SeriesProcessor.from_state(made.processor.state_dict())
    assert torch.equal(*(one.encode(list(one.read([str(tmp_path / "s.csv")])))["known"] for one in (made.processor, again)))
    with pytest.raises(UsageError, match=r"'moon' in 'place' is none of the words in the training file: coast, town"):
        list(again.read([str(write(tmp_path, [row.replace("town", "moon") for row in lines()]))]))


def test_series_are_scaled_each_by_its_own_training_part(tmp_path):
    made = source(write(tmp_path, lines()), scale="series", season=1)
    wanted = {"a": np.arange(22.0), "b": 1000 + 1001 * np.arange(22.0)}
    for name, values in wanted.items():
        mean, std = made.processor.scales.of(name)
        assert (mean[0], std[0]) == pytest.approx((values.mean(), values.std()))
    train, test = (next(iter(made.evaluate(None, split))) for split in ("train", "test"))
    a, b = train["input"].chunk(2)
    assert torch.allclose(a, b, atol=1e-5)  # both are straight lines
    assert test["target_mean"].dtype == torch.float64
    assert test["seasonal_error"][:, 0].unique().tolist() == pytest.approx([1.0, 1001.0])
    told = test["target"].double() * test["target_std"][:, None] + test["target_mean"][:, None]
    assert told[0, 0, 0] == pytest.approx(30, abs=1e-4)
    assert told[-1, -1, 0] == pytest.approx(1000 + 1001 * 39, rel=1e-5)


def test_a_series_without_a_scale_of_its_own_is_told(tmp_path):
    late = [row for row in lines() if row.split(",")[1] == "a" or row >= "2024-01-25"]
    with pytest.raises(UsageError, match="the series 'b' has no row in the training part"):
        source(write(tmp_path, late), scale="series")
    made = source(write(tmp_path, lines()), scale="series")
    new = write(tmp_path, [row.replace(",b,", ",c,") for row in lines()])
    with pytest.raises(UsageError, match="the series 'c' was not there in training"):
        made.processor.encode(list(made.processor.read([str(new)])))


def test_windows_of_several_series_at_one_time_have_one_origin(tmp_path):
    late = [row for row in lines() if row.split(",")[1] == "a" or row >= "2024-01-11"]
    batch = next(iter(source(write(tmp_path, late)).evaluate(None, "train")))
    assert batch["origin"].tolist() == [*range(16), *range(10, 16)]


def forecasting(made):
    class Last(torch.nn.Module):
        def forward(self, input):
            return input[:, -1:, :1].expand(-1, 2, -1)

    return build(registry.tasks, "forecasting", {}, {**made.facts, "model": Last()})


def test_numbers_in_units_are_the_same_whatever_the_scale(tmp_path):
    """Repeat the last value: errors in units know no scale, those in deviations are of each series' own."""
    found = {}
    for scale in ("global", "series"):
        made = source(write(tmp_path, lines()), scale=scale, season=1)
        task, batch = forecasting(made), next(iter(made.evaluate(None, "test")))
        task.verify(batch)
        for name in ("mae_in_units", "rmse_in_units", "mase", "scaled_mae", "skill"):
            metric = build(registry.metrics, name, {}, made.facts)
            metric.update(task.predict(batch), batch)
            found[scale, name] = metric.compute()[name]
    for name, wanted in (("mae_in_units", 1.5 * 501), ("rmse_in_units", np.sqrt(2.5 * (1 + 1001**2) / 2))):
        assert found["global", name] == pytest.approx(wanted, rel=1e-4)
        assert found["series", name] == pytest.approx(wanted, rel=1e-4)
    assert found["series", "mase"] == pytest.approx(1.5, rel=1e-4)
    assert found["series", "scaled_mae"] == pytest.approx(1.5 / np.arange(22.0).std(), rel=1e-4)
