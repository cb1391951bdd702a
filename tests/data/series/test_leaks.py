"""A column of the future that is used as an input is refused, whatever its name."""

import numpy as np
import pytest

from dlx import registry
from dlx.errors import UsageError
from dlx.testing.common import build

DAYS = [str(np.datetime64("2024-01-01") + n) for n in range(60)]
VALUES = np.random.default_rng(0).integers(0, 99, 80)


def source(folder, shift, **uses):
    lines = [f"{day},{VALUES[10 + n]},{VALUES[10 + n + shift]}" for n, day in enumerate(DAYS)]
    (folder / "s.csv").write_text("\n".join(["day,y,moved", *lines]))
    asked = {"path": str(folder / "s.csv"), "look_back": 5, "horizon": 3, "targets": ["y"], **uses}
    return build(registry.sources, "series_csv", asked, {"seed": 0, "processor": None, "wanted_splits": None})


@pytest.mark.parametrize(
    ("use", "shift", "told"),
    [
        ("inputs", 1, "'moved' is 'y' of 1 row later: it holds what is to be forecast 3 steps ahead"),
        ("inputs", 3, "of 3 rows later"),
        ("known", 2, "of 2 rows later"),
        ("known", 0, "of the same row"),
        ("known", -2, "of 2 rows before"),
    ],
)
def test_a_target_moved_in_time_is_refused_where_it_tells_the_future(tmp_path, use, shift, told):
    with pytest.raises(UsageError, match=told):
        source(tmp_path, shift, **{use: ["moved"]})


@pytest.mark.parametrize(("use", "shift"), [("inputs", 0), ("inputs", -1), ("inputs", 4), ("known", -3), ("known", 4)])
def test_a_target_moved_in_time_is_read_where_it_tells_nothing_new(tmp_path, use, shift):
    assert source(tmp_path, shift, **{use: ["moved"]}).facts["num_targets"] == 1


def test_columns_that_never_change_are_no_future(tmp_path):
    lines = [f"{day},1,1" for day in DAYS]
    (tmp_path / "s.csv").write_text("\n".join(["day,y,x", *lines]))
    asked = {"path": str(tmp_path / "s.csv"), "look_back": 5, "horizon": 3, "targets": ["y"], "inputs": ["x"]}
    assert build(registry.sources, "series_csv", asked, {"seed": 0, "processor": None, "wanted_splits": None}).facts
