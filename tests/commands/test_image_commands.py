"""A folder of images from the command line: trained, evaluated with pictures, predicted and explained."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from dlx.cli import app
from dlx.errors import UsageError

CONFIG = """\
task: classification
data: {name: image_folder, path: bars, image_size: 8, batch_size: 8, cache: none, num_workers: 0}
model: {name: simple_cnn, channels: [4], hidden: null, dropout: 0.0}
device: {threads: 1}
epochs: 1
"""


def bars(folder):
    """Write upright and lying bars."""
    rng = np.random.default_rng(0)
    for number in range(40):
        pixels = np.zeros((8, 8, 3), np.uint8)
        place = rng.integers(0, 8)
        pixels[(slice(None), place) if number % 2 else place] = rng.integers(100, 255, 3)
        file = Path(folder) / ("lying", "upright")[number % 2] / f"{number}.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(file)


@pytest.fixture(scope="module")
def trained(tmp_path_factory):
    """Train on bars, once."""
    folder = tmp_path_factory.mktemp("images")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        bars("bars")
        Path("bars.yaml").write_text(CONFIG)
        dlx("train", "bars.yaml")
    return folder


@pytest.fixture
def here(trained, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "bars").symlink_to(trained / "bars")
    return str(trained / "runs" / "bars")


def dlx(*arguments):
    result = CliRunner().invoke(app, list(arguments), catch_exceptions=False)
    assert result.exit_code == 0
    return result.stdout


def test_an_evaluation_has_a_table_of_classes_and_pictures(here):
    text = dlx("eval", here, "--split", "train")
    header, lying, upright = text.split("\n\n")[1].splitlines()[:3]
    assert header.split() == ["precision", "recall", "f1", "support"]
    assert (lying.split()[0], upright.split()[0]) == ("lying", "upright")
    assert lying.split()[4] == "12"
    found = json.loads(dlx("eval", here, "--split", "train", "--json"))
    assert found["train/support/lying"] == 12
    assert f"{found['train/f1/lying']:.4f}" == lying.split()[3]
    assert 0 <= found["train/calibration_error"] <= 1
    assert "train/top_2_accuracy" not in found
    names = {Path(file).name for file in found["pictures"]}
    assert {"train_confusion_matrix.png", "train_reliability.png"} <= names
    assert ("train_mistakes.png" in names) == (found["train/accuracy"] < 1)
    assert all(Path(file).stat().st_size > 1000 for file in found["pictures"])


def test_a_log_holds_only_the_metrics_asked_for(here):
    rows = [json.loads(line) for line in (Path(here) / "metrics.jsonl").read_text().splitlines()]
    assert not [key for row in rows for key in row if key.count("/") > 1 or "calibration" in key]


def test_files_and_folders_get_names_and_probabilities(here):
    rows = list(csv.DictReader(io.StringIO(dlx("predict", here, "bars/upright/1.png", "bars/lying"))))
    assert len(rows) == 21
    assert rows[0]["file"] == "bars/upright/1.png"
    assert list(rows[0]) == ["file", "label", "probability lying", "probability upright"]
    assert float(rows[1]["probability lying"]) + float(rows[1]["probability upright"]) == pytest.approx(1, abs=1e-5)
    answer = json.loads(dlx("predict", here, "bars/upright/1.png", "--json"))
    assert answer["label"] == max(answer["probability"], key=answer["probability"].get)


def test_explanations_are_drawn_and_named_in_the_answers(here, tmp_path):
    Path("more").mkdir()
    Path("more/1.png").write_bytes(Path("bars/upright/1.png").read_bytes())
    given = ("bars/upright/1.png", "more/1.png", "bars/lying/2.png", "--explain", "--output", "why", "--json")
    answers = [json.loads(line) for line in dlx("predict", here, *given).splitlines()]
    assert [answer["explained"] for answer in answers] == [f"why/{n}_explained.png" for n in ("1", "1_2", "2")]
    assert all(Path(answer["explained"]).stat().st_size > 1000 for answer in answers)
    dlx("predict", here, "more/1.png", "--explain")
    assert Path("1_explained.png").is_file()


def test_an_explanation_overwrites_nothing_and_its_name_is_cut_to_what_the_system_takes(here, tmp_path):
    Path("why").mkdir()
    Path("why/1_explained.png").write_text("mine")
    Path("precious").write_text("mine too")
    Path("why/1_explained_2.png").symlink_to(tmp_path / "precious")
    Path("why/1_2_explained.png").symlink_to(tmp_path / "precious")
    long = "\N{OLD ITALIC LETTER A}" * 62 + "x.png"  # 253 bytes
    Path(long).write_bytes(Path("bars/upright/1.png").read_bytes())
    given = ("bars/upright/1.png", long, "bars/upright/1.png", "--explain", "--output", "why", "--json")
    answers = [json.loads(line) for line in dlx("predict", here, *given).splitlines()]
    assert answers[0]["explained"] == "why/1_3_explained.png"
    assert answers[1]["explained"] == "why/" + long[:60] + "_explained.png"
    assert answers[2]["explained"] == "why/1_4_explained.png"
    assert Path("why/1_explained.png").read_text() == "mine"
    assert Path("precious").read_text() == "mine too"
    assert not [name for name in Path("why").iterdir() if name.name.endswith(".partial")]
    with pytest.raises(UsageError, match=r"--output precious: cannot be made a folder: File exists"):
        dlx("predict", here, long, "--explain", "--output", "precious")


def test_names_that_are_no_text_come_out_as_they_are(here):
    odd = b"\xff\xfe.png"
    Path(os.fsdecode(odd)).write_bytes(Path("bars/upright/1.png").read_bytes())
    command = [sys.executable, "-m", "dlx", "predict", here, os.fsdecode(odd)]
    for more, wanted in ([], odd + b","), (["--json"], b'"file": "\\udcff\\udcfe.png"'):
        done = subprocess.run([*command, *more], capture_output=True, check=True)
        assert wanted in done.stdout
    assert json.loads(done.stdout)["file"] == os.fsdecode(odd)


def test_an_evaluation_needs_no_training_images_and_its_numbers_stay(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for split in ("Train", "Test"):
        bars(f"bars/{split}")
    Path("bars.yaml").write_text(CONFIG)
    dlx("train", "bars.yaml")
    before = json.loads(dlx("eval", "runs/bars", "--json"))
    for file in Path("bars/Train/lying").iterdir():
        Image.new("RGB", (8, 8), "white").save(file)
    assert json.loads(dlx("eval", "runs/bars", "--json")) == before
    with pytest.raises(UsageError, match="the training split is not the one that this run began with"):
        dlx("train", "bars.yaml", "--resume", "epochs=2")
    shutil.rmtree("bars/Train")
    assert json.loads(dlx("eval", "runs/bars", "--json")) == before


def test_what_cannot_be_explained_is_said(here, tmp_path):
    with pytest.raises(UsageError, match="--explain"):
        dlx("predict", here, "bars/upright/1.png", "--output", "why")
    flat = "model: {name: sequential, layers: [flatten, dense: num_classes]}"
    Path("flat.yaml").write_text(CONFIG.replace(CONFIG.splitlines()[2], flat))
    dlx("train", "flat.yaml", "epochs=0")
    with pytest.raises(UsageError, match="Grad-CAM wants feature maps"):
        dlx("predict", "runs/flat", "bars/upright/1.png", "--explain")
    Path("iris.yaml").write_text("task: classification\ndata: iris\nmodel: mlp\nepochs: 0\n")
    dlx("train", "iris.yaml")
    with pytest.raises(UsageError, match="only classes of images and of texts"):
        dlx("predict", "runs/iris", "5,3,1,0.2", "--explain")


def test_all_files_that_cannot_be_used_are_told_at_once(here):
    Path("a.png").write_bytes(b"no image")
    Path("b.jpg").write_bytes(Path("bars/upright/1.png").read_bytes())
    with pytest.raises(UsageError, match=r"a.png: unreadable.*\nb.jpg: mislabelled"):
        dlx("predict", here, "bars/lying", "a.png", "b.jpg")
    answers = list(csv.DictReader(io.StringIO(dlx("predict", here, "a.png", "bars/lying/2.png", "b.jpg", "--skip-bad"))))
    assert [row["file"] for row in answers] == ["bars/lying/2.png"]
    with pytest.raises(UsageError, match=r"^no answer: the only file cannot be used"):
        dlx("predict", here, "a.png", "--skip-bad")
    with pytest.raises(UsageError, match=r"^no answer: none of the 2 files can be used"):
        dlx("predict", here, "a.png", "b.jpg", "--skip-bad")
    with pytest.raises(UsageError, match=r"^no.png: no file or folder\nneither: no file or folder$"):
        dlx("predict", here, "bars/lying", "no.png", "neither")
