"""A trained classifier answers as `dlx predict` does, whatever the size and the colours of the images."""

import io
import json
import shutil
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn
from typer.testing import CliRunner

from dlx.assembly import classifier as trained
from dlx.cli import app
from dlx.errors import ComponentError

CONFIG = """\
task: classification
data: {name: image_folder, path: spots, image_size: 8, batch_size: 8, cache: none, num_workers: 0}
model: {name: simple_cnn, channels: [4], hidden: 5, dropout: 0.5}
device: {threads: 1}
epochs: 1
"""
TABLE = "task: classification\ndata: iris\nmodel: {name: mlp, hidden: [4]}\ndevice: {threads: 1}\nepochs: 1\n"
DIGITS = TABLE.replace("iris", "digits").replace("{name: mlp, hidden: [4]}", "{name: simple_cnn, channels: [8], hidden: null}")


def images(count, *shape, seed=0):
    return torch.randint(0, 256, (count, *shape), generator=torch.Generator().manual_seed(seed), dtype=torch.uint8)


def png(image):
    pixels = image.numpy().transpose(1, 2, 0)
    file = io.BytesIO()
    Image.fromarray(pixels[..., 0] if pixels.shape[-1] == 1 else pixels).save(file, "PNG")
    return file.getvalue()


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    """Train on coloured noise, on a table, and on digits, once."""
    made = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.chdir(made)
        for number, image in enumerate(images(24, 3, 8, 8)):
            file = Path("spots", ("dark", "light")[number % 2], f"{number}.png")
            file.parent.mkdir(parents=True, exist_ok=True)
            file.write_bytes(png(image // 2 + 120 * (number % 2)))
        Path("spots.yaml").write_text(CONFIG)
        Path("table.yaml").write_text(TABLE)
        Path("digits.yaml").write_text(DIGITS)
        for config in ("spots.yaml", "table.yaml", "digits.yaml"):
            assert CliRunner().invoke(app, ["train", config], catch_exceptions=False).exit_code == 0
    return made


@pytest.fixture
def classifier(folder):
    return trained.load(str(folder / "runs" / "spots"))


@pytest.mark.parametrize("shape", [(3, 8, 8), (1, 8, 8), (3, 11, 6), (1, 28, 28)])
def test_it_answers_as_predict_does(folder, classifier, shape, tmp_path):
    given = images(5, *shape)
    for number, image in enumerate(given):
        (tmp_path / f"{number}.png").write_bytes(png(image))
    said = CliRunner().invoke(app, ["predict", str(folder / "runs" / "spots"), str(tmp_path), "--json"], catch_exceptions=False)
    wanted = [list(json.loads(line)["probability"].values()) for line in said.stdout.splitlines()]
    assert classifier.logits(given).softmax(-1).numpy() == pytest.approx(np.array(wanted), abs=1e-5)


def test_digits_which_are_no_files_are_recognised_as_pixels(folder):
    from sklearn.datasets import load_digits

    digits = load_digits()
    pixels = torch.from_numpy((digits.images * 255 / 16).round().astype(np.uint8))[:, None]
    labels = trained.load(str(folder / "runs" / "digits")).logits(pixels).argmax(-1)
    assert (labels.numpy() == digits.target).mean() > 0.6


def test_features_are_what_the_last_linear_layer_reads(classifier):
    given = images(3, 3, 8, 8)
    features = classifier.features(given)
    last = [module for module in classifier.task.modules() if isinstance(module, nn.Linear)][-1]
    assert features.shape == (3, 5)
    assert features.dtype == torch.float32
    assert torch.allclose(last(features), classifier.logits(given), atol=1e-6)


def test_one_pass_gives_both_and_is_not_done_twice(classifier, monkeypatch):
    given, passes = images(3, 3, 8, 8, seed=7), []
    monkeypatch.setattr(classifier.task, "predict", lambda batch, own=classifier.task.predict: passes.append(1) or own(batch))
    classifier.features(given), classifier.logits(given.clone())
    assert len(passes) == 1
    classifier.logits(given + 1)
    assert len(passes) == 2


def test_it_says_what_it_is(classifier):
    assert classifier.name == "simple_cnn"
    assert classifier.class_names == ["dark", "light"]
    assert not classifier.task.training


def test_a_checkpoint_is_loaded_once_and_leaves_the_random_state_as_it_is(folder, classifier, monkeypatch):
    assert trained.load(str(folder / "runs" / "spots" / "last")) is trained.load(str(folder / "runs" / "spots" / "last"))
    monkeypatch.chdir(folder)
    assert trained.load("spots") is classifier
    trained._load.cache_clear()
    before = torch.get_rng_state()
    trained.load("spots").logits(images(2, 3, 8, 8))
    assert torch.equal(torch.get_rng_state(), before)


def test_another_checkpoint_in_its_place_is_seen(folder, tmp_path):
    shutil.copytree(folder / "runs", tmp_path / "runs")
    shutil.move(tmp_path / "runs" / "spots", tmp_path / "a")
    first = trained.load(str(tmp_path / "a"))
    shutil.rmtree(tmp_path / "a")
    with pytest.raises(ComponentError, match="no run or checkpoint is there"):
        trained.load(str(tmp_path / "a"))
    shutil.move(tmp_path / "runs" / "table", tmp_path / "a")
    assert first.name == "simple_cnn"
    with pytest.raises(ComponentError, match="was not trained on images; give a classifier of images"):
        trained.load(str(tmp_path / "a"))


def test_a_damaged_checkpoint_is_refused(folder, tmp_path):
    shutil.copytree(folder / "runs" / "spots", tmp_path / "damaged", symlinks=True)
    for file in (tmp_path / "damaged" / "checkpoints").glob("step-*/model.safetensors"):
        file.write_bytes(file.read_bytes()[:-1] + b"x")
    with pytest.raises(ComponentError, match=r"model.safetensors"):
        trained.load(str(tmp_path / "damaged"))


def test_a_task_that_does_not_classify_is_refused(folder, monkeypatch):
    from dlx.tasks.classification import Classification

    trained._load.cache_clear()
    monkeypatch.setattr(Classification, "predicts", frozenset({"image"}))
    with pytest.raises(ComponentError, match="its task 'classification' does not classify"):
        trained.load(str(folder / "runs" / "spots"))


@pytest.mark.parametrize(
    "given", [images(2, 2, 8, 8), images(2, 8, 8), images(2, 3, 8, 8).float(), images(0, 3, 8, 8)], ids=lambda g: str(g.shape)
)
def test_what_is_no_image_is_refused(classifier, given):
    with pytest.raises(ComponentError, match=r"the classifier 'simple_cnn' wants images: uint8 \(B, 1 or 3, H, W\), not "):
        classifier.logits(given)
