import numpy as np
import pytest

from dlx import registry
from dlx.data.series.synthetic_demand import made_series
from dlx.processors.series.times import TimeFormat
from dlx.testing.common import build


def test_it_is_what_its_rule_says():
    made = made_series(6000, 0, TimeFormat(unit="m"))
    hours, demand, event = np.arange(6000), made.values[:, 0], made.known[:, 0]
    assert TimeFormat(unit="m").write(made.times)[:2] == ["2023-01-02 00:00", "2023-01-02 01:00"]
    assert (event.reshape(-1, 24) == event.reshape(-1, 24)[:, :1]).all()
    assert 0.03 < event.mean() < 0.15
    waves = [np.sin(2 * np.pi * hours / period) for period in (24, 168)]
    columns = np.stack([np.ones(6000), hours / 8760, *waves, event], 1)
    found, *_ = np.linalg.lstsq(columns, demand, rcond=None)
    assert found == pytest.approx([100, 10, 15, 8, -20], abs=1)
    rest = demand - columns @ found
    assert rest.std() == pytest.approx(3, abs=0.2)
    assert np.corrcoef(rest[1:], rest[:-1])[0, 1] == pytest.approx(0.7, abs=0.05)


def test_the_series_is_the_same_whatever_the_experiments_seed():
    choices = {"look_back": 24, "horizon": 2, "rows": 200}
    one, other = (build(registry.sources, "synthetic_demand", choices, {"seed": seed}) for seed in (0, 1))
    third = build(registry.sources, "synthetic_demand", {**choices, "series_seed": 1}, {"seed": 0})
    assert one.digests == other.digests
    assert one.digests["train"] != third.digests["train"]
