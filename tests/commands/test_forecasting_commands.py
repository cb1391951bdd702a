"""A forecast from the command line: trained, evaluated, and gone on with behind a file's end."""

import csv
import io
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from dlx.cli import app
from dlx.commands.evaluate import evaluate, render
from dlx.commands.predict import predict
from dlx.commands.train import train
from dlx.errors import UsageError

CONFIG = """
task: {{name: forecasting, loss: quantiles}}
data: {{name: series_csv, path: {path}, look_back: 14, horizon: 3, targets: [sold], known: [offer]}}
model: {{name: dlinear, kernel: 3, outputs_per_value: 3}}
optimizer: {{name: adam, lr: 0.01}}
epochs: 2
"""
DAYS = np.datetime64("2024-01-01") + np.arange(80)


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    folder = tmp_path_factory.mktemp("shop")
    lines = [f"{day},{(n % 7) + n % 3},{int(n % 9 == 0)}" for n, day in enumerate(DAYS)]
    (folder / "shop.csv").write_text("\n".join(["day,sold,offer", *lines]) + "\n")
    ahead = [f"{DAYS[-1] + n},,0" for n in (1, 2, 3)]
    (folder / "ahead.csv").write_text("\n".join(["day,sold,offer", *lines, *ahead]) + "\n")
    (folder / "shop.yaml").write_text(CONFIG.format(path=folder / "shop.csv"))
    result = train(str(folder / "shop.yaml"), [], name=None, resume=False, runs=folder / "runs", quiet=True)
    return folder, result["run"]


def test_evaluating_shows_all_naive_forecasts_and_the_best_of_them(run):
    found = evaluate(run[1], [], "test")
    for name in ("last_value", "drift", "seasonal_naive", "moving_average"):
        assert f"test/skill/{name}" in found
    best = found["baseline/scaled_mse"]
    assert found["test/skill"] == pytest.approx(1 - found["test/scaled_mse"] / best)
    assert {"baseline/mase", "baseline/quantile_loss", "test/coverage"} <= found.keys()
    drawn = {Path(file).name for file in found["pictures"]}
    assert {"test_forecasts.png", "test_error_by_horizon.png", "test_residuals.png"} <= drawn
    assert "baseline: the best of last_value, drift, seasonal_naive, moving_average on these very windows" in render(
        found, False
    )


def test_predicting_writes_dated_rows_behind_the_files_end(run):
    folder, made = run
    told = CliRunner().invoke(app, ["predict", made, str(folder / "ahead.csv")])
    assert told.exit_code == 0, told.output
    rows = list(csv.DictReader(io.StringIO(told.stdout)))
    assert [row["day"] for row in rows] == ["2024-03-21", "2024-03-22", "2024-03-23"]
    for row in rows:
        assert float(row["sold 0.1"]) <= float(row["sold"]) == float(row["sold 0.5"]) <= float(row["sold 0.9"])


def test_predicting_without_what_is_known_ahead_says_what_is_missing(run):
    folder, made = run
    with pytest.raises(UsageError, match="a forecast of 3 steps wants 'offer' ahead; add 3 more rows at the end"):
        list(predict(made, [str(folder / "shop.csv")], []))


def test_the_run_says_its_borders(run):
    told = CliRunner().invoke(app, ["show", run[1]])
    assert "test   2024-03-05 to 2024-03-20: 16 rows, 14 windows" in told.output


def test_predicting_into_a_folder_writes_dated_rows_and_a_picture_beside_them(run, tmp_path):
    folder, made = run
    out = tmp_path / "ahead"
    for _ in range(2):
        told = CliRunner().invoke(app, ["predict", made, str(folder / "ahead.csv"), "--output", str(out)])
        assert told.exit_code == 0, told.output
    assert {file.name for file in out.iterdir()} == {
        f"ahead{number}.forecast.{kind}" for number in ("", "-2") for kind in ("csv", "png")
    }
    assert f"wrote {out / 'ahead-2.forecast.csv'} and ahead-2.forecast.png" in told.stderr
    rows = list(csv.DictReader((out / "ahead.forecast.csv").read_text().splitlines()))
    assert rows == list(csv.DictReader(io.StringIO(told.stdout)))
    assert (out / "ahead.forecast.png").stat().st_size > 5000
