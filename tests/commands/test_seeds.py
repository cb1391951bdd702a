"""`dlx seeds`: a run for each seed, and the middle of their numbers."""

import json
import statistics
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlx.commands.seeds import interquartile_mean, interval, render, seeds
from dlx.errors import UsageError

pytestmark = pytest.mark.usefixtures("blank_pictures")

OPTIONS = {"name": "flowers", "quiet": True, "trust": False}


def test_every_seed_is_tested_once_and_the_summary_is_that_of_the_runs(tmp_path):
    found = seeds("iris_mlp", ["epochs=2"], 2, "test", resume=False, runs=tmp_path, **OPTIONS)
    values = [one["accuracy"] for one in found["seeds"]]
    assert [one["run"] for one in found["seeds"]] == [str(tmp_path / f"flowers-seed{n}") for n in range(2)]
    assert found["mean"]["accuracy"] == pytest.approx(statistics.fmean(values))
    assert found["deviation"]["accuracy"] == pytest.approx(statistics.stdev(values))
    assert found["baseline"]["accuracy"] < 0.5
    assert json.loads((tmp_path / "flowers-seeds.json").read_text()) == found
    before = [(tmp_path / f"flowers-seed{n}/metrics.jsonl").read_text() for n in range(2)]
    assert before[0] != before[1]
    assert seeds("iris_mlp", ["epochs=2"], 2, "test", resume=True, runs=tmp_path, **OPTIONS) == found
    assert [(tmp_path / f"flowers-seed{n}/metrics.jsonl").read_text() for n in range(2)] == before
    lines = render(found, False).splitlines()
    labels = ["seed", "seed", "mean", "deviation", "interquartile", "from", "to", "baseline"]
    assert [line.split()[0] for line in lines[1:]] == labels


def test_no_seed_is_refused():
    with pytest.raises(UsageError, match="at least one"):
        seeds("iris_mlp", [], 0, "test", resume=False, runs=None, **OPTIONS)


@pytest.mark.parametrize(
    ("values", "middle"),
    [([3.0], 3), ([1, 3], 2), ([0, 1, 50], (0.25 * 0 + 1 + 0.25 * 50) / 1.5), ([9, -99, 1, 2], 1.5), (range(8), 3.5)],
)
def test_the_interquartile_mean_is_that_of_the_middle_half(values, middle):
    assert interquartile_mean(list(values)) == pytest.approx(middle)


@given(st.lists(st.floats(-1e3, 1e3), min_size=1, max_size=6))
def test_it_lies_within_what_it_is_of_and_so_does_its_interval(values):
    low, high = interval(values)
    assert low <= high
    assert min(values) - 1e-9 <= low
    assert high <= max(values) + 1e-9


def test_the_interval_is_that_of_a_bootstrap_and_the_same_every_time():
    values = [float(n % 10) for n in range(40)]
    low, high = interval(values)
    assert (low, high) == interval(values)
    middle = interquartile_mean(values)
    assert low < middle < high
    assert high - low == pytest.approx(2 * 1.96 * 0.63, rel=0.25)  # 0.63: deviation of such means over fresh samples


def test_it_is_a_command(tmp_path):
    command = [sys.executable, "-m", "dlx", "seeds", "iris_mlp", "epochs=1", "--seeds", "1", "--json", "--runs", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(json.loads(done.stdout)["seeds"]) == 1
