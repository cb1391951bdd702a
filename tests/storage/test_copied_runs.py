"""A run as version 0.1.0 left it, copied as people copy: links followed, links lost, links turned into text."""

import os
import shutil
from pathlib import Path

import pytest

from dlx.commands.evaluate import evaluate
from dlx.commands.predict import predict
from dlx.commands.show import show
from dlx.commands.train import train
from dlx.errors import DlxError, UsageError
from dlx.storage import checkpoint
from dlx.storage.locating import locate

pytestmark = pytest.mark.usefixtures("blank_pictures")

OLD = Path(__file__).parents[1] / "runs" / "iris_0_1"
BEST, LAST = "step-00000048", "step-00000072"
LOSS = {48: 0.09352107346057892, 72: 0.06806899607181549}  # what version 0.1.0 found on the test split


def lay_out(kind, folder):
    """Make of the links `best` and `last` what a way of copying makes of them."""
    for name, target in (("best", BEST), ("last", LAST)):
        if kind == "links":
            (folder / name).symlink_to(target)
        elif kind in ("folders", "folders alone"):  # cp -rL, scp -r, zip
            shutil.copytree(folder / target, folder / name)
        elif kind == "text":  # some tools for Windows
            (folder / name).write_text(target)
    if kind == "folders alone":
        for target in (BEST, LAST):
            shutil.rmtree(folder / target)


@pytest.fixture(params=["links", "absent", "folders", "folders alone", "text"])
def run(request, tmp_path, monkeypatch):
    folder = shutil.copytree(OLD, tmp_path / "runs" / "iris")
    lay_out(request.param, folder / "checkpoints")
    monkeypatch.chdir(tmp_path)
    return folder


@pytest.mark.parametrize(
    ("path", "step"),
    [("iris", 48), ("runs/iris", 48), ("iris/best", 48), ("runs/iris/checkpoints/best", 48), ("iris/last", 72),
     ("runs/iris/checkpoints/last", 72)],
)  # fmt: skip
def test_a_copy_has_the_best_and_the_last_checkpoint(run, path, step):
    found = evaluate(path, [], "test")
    assert found["step"] == step
    assert found["test/loss"] == pytest.approx(LOSS[step], rel=1e-5)


def test_a_copy_answers_and_is_shown(run):
    (answer,) = predict("iris", ["6.1,2.8,5.0,1.7"], [])
    assert answer["label"] == "virginica"
    assert answer["probability"]["virginica"] == pytest.approx(0.660269, rel=1e-4)
    assert show("iris", []).splitlines()[:2] == ["run runs/iris: finished, step 72", "best val/accuracy 1.0000 at step 48"]


def test_a_copy_goes_on_and_is_in_order_again(run):
    train(str(run), ["epochs=13"], name=None, resume=True, runs=Path("runs"), quiet=True)
    folder = run / "checkpoints"
    assert sorted(os.listdir(folder)) == ["best", "last", BEST, "step-00000078"]
    assert [os.readlink(folder / name) for name in ("best", "last")] == [BEST, "step-00000078"]
    assert evaluate("iris", [], "test")["step"] == 48


def test_the_state_decides_and_not_a_link(tmp_path):
    run = shutil.copytree(OLD, tmp_path / "iris")
    (run / "checkpoints" / "best").symlink_to(LAST)  # whoever moved it
    for path in (run, run / "best", run / "checkpoints" / "best"):
        assert locate(str(path)).name == BEST


def test_a_missing_best_checkpoint_is_never_replaced_by_the_last(tmp_path):
    run = shutil.copytree(OLD, tmp_path / "iris")
    shutil.rmtree(run / "checkpoints" / BEST)
    for path in (run, run / "best"):
        with pytest.raises(UsageError) as caught:
            locate(str(path))
        assert str(caught.value) == f"run {run} lacks its best checkpoint, that of step 48; the last one is {run / 'last'}"
    assert locate(str(run / "last")).name == LAST


def test_a_newer_one_that_is_damaged_is_passed_over_with_a_warning(tmp_path, caplog):
    run = shutil.copytree(OLD, tmp_path / "iris")
    (run / "checkpoints" / LAST / "model.safetensors").unlink()
    assert locate(str(run / "last")).name == BEST
    assert "passed over: " in caplog.text
    assert "model.safetensors is missing" in caplog.text


def test_a_best_folder_that_was_copied_away_is_a_checkpoint(tmp_path):
    shutil.copytree(OLD / "checkpoints" / BEST, tmp_path / "best")
    assert evaluate(str(tmp_path / "best"), [], "test")["step"] == 48


def test_a_run_may_be_named_best(tmp_path):
    shutil.copytree(OLD, tmp_path / "best")
    assert locate(str(tmp_path / "best")).name == BEST


def test_what_dlx_did_not_make_is_not_replaced_by_a_pointer(tmp_path):
    target = checkpoint.write(tmp_path / "step-00000001", {"a": b""})
    (tmp_path / "best").mkdir()
    (tmp_path / "best" / "thesis.txt").write_text("mine")
    (tmp_path / "last").write_text("my notes")
    for name in ("best", "last"):
        with pytest.raises(DlxError, match=f"{name} is nothing that dlx made; move it away"):
            checkpoint.point(tmp_path, name, target)
    assert (tmp_path / "best" / "thesis.txt").read_text() == "mine"
    assert (tmp_path / "last").read_text() == "my notes"


def test_a_file_system_without_links_is_enough(tmp_path, monkeypatch):
    def refuse(*_, **__):
        raise PermissionError(1, "Operation not permitted")

    monkeypatch.setattr(os, "symlink", refuse)
    run = shutil.copytree(OLD, tmp_path / "iris")
    train(str(run), ["epochs=13"], name=None, resume=True, runs=tmp_path, quiet=True)
    assert locate(str(run)).name == BEST
    assert locate(str(run / "last")).name == "step-00000078"
