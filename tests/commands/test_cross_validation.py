"""`dlx cross-validate`: every fold is trained and tested, and what was done is not done again."""

import json
import statistics
import subprocess
import sys

import pytest
from tests.helpers.examples.sources import sentences

from dlx.commands.cross_validation import cross_validate, render
from dlx.errors import UsageError

pytestmark = pytest.mark.usefixtures("blank_pictures")

CONFIG = """
task: classification
data: {name: text_files, path: FOLDER, files: {long: long, short: short}, folds: 3, batch_size: 8}
model: {name: text_cnn, embedding_size: 8, filters: 4}
epochs: 2
device: cpu
"""


@pytest.fixture
def config(tmp_path):
    for kind, times in (("long", 3), ("short", 1)):
        (tmp_path / kind).write_text("\n".join(" ".join([text] * times) for text in sentences()[:30]) + "\n")
    (tmp_path / "texts.yaml").write_text(CONFIG.replace("FOLDER", str(tmp_path)))
    return tmp_path / "texts.yaml"


def test_every_fold_is_tested_once_and_the_summary_is_that_of_the_runs(config, tmp_path):
    options = {"name": None, "runs": tmp_path / "runs", "quiet": True, "trust": False}
    found = cross_validate(str(config), [], resume=False, **options)
    values = [fold["accuracy"] for fold in found["folds"]]
    assert len(values) == 3
    assert found["mean"]["accuracy"] == pytest.approx(statistics.fmean(values))
    assert found["deviation"]["accuracy"] == pytest.approx(statistics.stdev(values))
    assert json.loads((tmp_path / "runs/texts-folds.json").read_text()) == found
    before = [(tmp_path / f"runs/texts-fold{n}/metrics.jsonl").read_text() for n in range(3)]
    assert cross_validate(str(config), [], resume=True, **options) == found
    assert [(tmp_path / f"runs/texts-fold{n}/metrics.jsonl").read_text() for n in range(3)] == before
    lines = render(found, False).splitlines()
    assert [line.split()[0] for line in lines[1:]] == ["fold", "fold", "fold", "mean", "deviation"]


def test_data_without_folds_are_refused():
    with pytest.raises(UsageError, match="fold"):
        cross_validate("iris_mlp", [], name=None, resume=False, runs=None, quiet=True, trust=False)


def test_it_is_a_command(config, tmp_path):
    command = [
        sys.executable,
        "-m",
        "dlx",
        "cross-validate",
        str(config),
        "epochs=1",
        "--json",
        "--runs",
        str(tmp_path / "runs"),
    ]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert len(json.loads(done.stdout)["folds"]) == 3
