"""Images from the command line: trained, resumed, evaluated and made."""

import csv
import io
import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from typer.testing import CliRunner

from dlx.cli import app
from dlx.errors import UsageError

CONFIG = """\
task: {name: gan, loss: hinge, discriminator_steps: 2}
data: {name: digits, batch_size: 64, drop_last: true}
model: {name: mlp_gan, conditional: CONDITIONAL}
optimizer: {generator: {name: adam, lr: 1e-3}, discriminator: {name: adam, lr: 1e-3}}
schedule: {generator: cosine, discriminator: constant}
device: {threads: 1}
steps: 9
trainer: {evaluate_every: 3, log_every: 3, save_every: 3, ema: 0.9}
"""


def dlx(*arguments, code=0):
    result = CliRunner().invoke(app, [str(argument) for argument in arguments])
    if code and isinstance(result.exception, UsageError):
        return str(result.exception)
    assert result.exit_code == code, (result.output, result.exception)
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Train a conditional and an unconditional GAN, once."""
    place = tmp_path_factory.mktemp("generating")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(place)
        for name, conditional in (("free", "false"), ("asked", "true")):
            Path(f"{name}.yaml").write_text(CONFIG.replace("CONDITIONAL", conditional))
            dlx("train", f"{name}.yaml")
    return place


@pytest.fixture
def here(folder, monkeypatch):
    monkeypatch.chdir(folder)
    return folder


def rows(text):
    return list(csv.DictReader(io.StringIO(text)))


def test_images_and_a_grid_are_written_and_named(here, tmp_path):
    found = rows(dlx("predict", "runs/asked", "--count", 11, "--output", tmp_path / "out"))
    assert [Path(row["file"]).name for row in found] == [*(f"{n:05d}.png" for n in range(11)), "grid.png"]
    assert [row["label"] for row in found[:11]] == [str(n % 10) for n in range(11)]
    with Image.open(found[0]["file"]) as image:
        assert image.size == (8, 8)
        assert image.mode == "L"
    with Image.open(tmp_path / "out" / "grid.png") as image:
        assert image.width > 10 * 56


def pixels(folder, number):
    with Image.open(folder / f"{number:05d}.png") as image:
        return np.asarray(image)


def test_the_same_seed_makes_the_same_images_whatever_their_number(here, tmp_path):
    for name, count, seed in (("a", 3, 0), ("b", 70, 0), ("c", 3, 1)):
        dlx("predict", "runs/free", "--count", count, "--seed", seed, "--output", tmp_path / name)
    for number in range(3):
        assert np.abs(pixels(tmp_path / "a", number).astype(int) - pixels(tmp_path / "b", number)).max() <= 1
    assert not np.array_equal(pixels(tmp_path / "a", 0), pixels(tmp_path / "c", 0))


def test_a_class_is_asked_for_by_name(here, tmp_path):
    found = rows(dlx("predict", "runs/asked", "--count", 3, "--label", 7, "--output", tmp_path / "out"))
    assert {row["label"] for row in found} == {"7"}


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["runs/asked", "--count", 1, "--label", "seven"], "--label seven: unknown class; there is 0, 1, 2"),
        (["runs/free", "--count", 1, "--label", 7], "model.conditional: true learns them"),
        (["runs/free"], "give inputs to answer, --count N"),
        (["runs/free", "x.png"], "makes images: dlx predict runs/free --count 64"),
        (["runs/free", "x.png", "--count", 3], "leave out the inputs"),
        (["runs/free", "x.png", "--label", 3], "--label chooses what --count makes"),
        (["runs/free", "x.png", "--output", "y"], "it reads no inputs, it makes images"),
        (["runs/free", "--count", 1, "--output", "runs/free/plots"], "nothing is overwritten"),
    ],
)
def test_a_mistake_is_one_message(here, arguments, message):
    assert message in dlx("predict", *arguments, code=2)


def test_nothing_is_written_through_a_link_or_over_a_file(here, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("generated").symlink_to(tmp_path / "elsewhere")
    found = rows(dlx("predict", here / "runs/free", "--count", 1))
    assert [row["file"] for row in found] == ["generated-2/00000.png", "generated-2/grid.png"]
    assert not Path("elsewhere").exists()
    Path("out").mkdir()
    Path("out/00000.png").symlink_to(tmp_path / "elsewhere")
    assert "nothing is overwritten" in dlx("predict", here / "runs/free", "--count", 1, "--output", "out", code=2)
    Path("file").write_text("mine")
    assert "--output file: cannot be made a folder" in dlx(
        "predict", here / "runs/free", "--count", 1, "--output", "file", code=2
    )


def test_a_classifier_makes_no_images(here, tmp_path):
    Path("iris.yaml").write_text("task: classification\ndata: iris\nmodel: mlp\nepochs: 1\n")
    dlx("train", "iris.yaml", "--runs", tmp_path)
    assert "it answers inputs and makes no images" in dlx("predict", tmp_path / "iris", "--count", 4, code=2)


def test_training_leaves_a_grid_for_every_evaluation_and_a_film(here):
    plots = Path("runs/free/plots")
    assert sorted(file.name for file in (plots / "samples").iterdir()) == [f"step-{n:08d}.png" for n in (3, 6, 9)]
    with Image.open(plots / "samples.gif") as film:
        assert film.n_frames == 3


def test_an_evaluation_draws_samples_ways_and_neighbours(here):
    found = json.loads(dlx("eval", "runs/asked", "--json"))
    assert {Path(file).stem for file in found["pictures"]} >= {"test_samples", "test_interpolation", "test_nearest"}
    assert found["baseline/sliced_wasserstein"] < found["test/sliced_wasserstein"]
    assert found["baseline/diversity"] == pytest.approx(1, abs=0.1)


def test_both_parts_are_trained_and_logged_at_rates_of_their_own(here):
    last = json.loads(Path("runs/free/metrics.jsonl").read_text().splitlines()[-1])
    assert {"train/loss/generator", "train/loss/discriminator", "train/real_accuracy", "val/diversity"} <= last.keys()
    assert last["train/lr/discriminator"] == 1e-3
    assert last["train/lr/generator"] < 1e-3


def test_a_run_cut_off_goes_on_as_if_it_had_not_been(here, tmp_path):
    from dlx.storage import checkpoint

    for steps in (4, 9):  # between a discriminator's turn and the generator's
        Path(tmp_path / "free.yaml").write_text(CONFIG.replace("CONDITIONAL", "false").replace("steps: 9", f"steps: {steps}"))
        dlx("train", tmp_path / "free.yaml", "--runs", tmp_path, *(["--resume"] if steps == 9 else []), "schedule=constant")
    Path(tmp_path / "whole.yaml").write_text(CONFIG.replace("CONDITIONAL", "false"))
    dlx("train", tmp_path / "whole.yaml", "--runs", tmp_path, "schedule=constant")
    one, other = (checkpoint.read(tmp_path / name / "checkpoints" / "step-00000009") for name in ("free", "whole"))
    assert one["model.safetensors"] == other["model.safetensors"]
    assert one["optimizer.safetensors"] == other["optimizer.safetensors"]


def test_one_optimizer_is_made_once_for_each_part_and_a_stray_one_refused(here, tmp_path):
    from dlx.config.spec import SpecError

    text = CONFIG.replace("CONDITIONAL", "false").replace("schedule: {generator: cosine, discriminator: constant}\n", "")
    line = next(line for line in text.splitlines() if line.startswith("optimizer"))
    Path(tmp_path / "one.yaml").write_text(text.replace(line, "optimizer: {name: sgd, lr: 0.1}"))
    dlx("train", tmp_path / "one.yaml", "--runs", tmp_path, "steps=3")
    for wrong, message in (
        ("optimizer: {generator: adam}", "optimizer: gives nothing for the part 'discriminator'"),
        ("optimizer: {generator: adam, discriminator: adam, judge: adam}", "unknown part"),
    ):
        Path(tmp_path / "wrong.yaml").write_text(text.replace(line, wrong))
        result = CliRunner().invoke(app, ["train", str(tmp_path / "wrong.yaml"), "--runs", str(tmp_path)])
        assert isinstance(result.exception, SpecError)
        assert message in str(result.exception)
