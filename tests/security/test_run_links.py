"""Links planted in a run: nothing that dlx writes goes through them, and what they point to stays as it was."""

import contextlib
import os
import shutil
from pathlib import Path

import pytest

from dlx.commands.evaluate import evaluate
from dlx.commands.show import show
from dlx.commands.train import train
from dlx.errors import DlxError, UsageError
from dlx.storage.run import Run

pytestmark = pytest.mark.usefixtures("blank_pictures")

OLD = Path(__file__).parents[1] / "runs" / "iris_0_1"
BEST, LAST, NEXT = "step-00000048", "step-00000072", "step-00000078"
FILES = [
    ".lock", ".config.yaml.partial", ".status.json.partial", "config.yaml", "status.json", "environment.json", "metrics.jsonl",
    "train.log", "plots/curves.png", "plots/test_confusion_matrix.png", "plots/test_reliability.png", "plots/val_f1.png",
    f"checkpoints/{NEXT}", f"checkpoints/.{NEXT}.partial", f"checkpoints/.{LAST}.removed", f"checkpoints/.{LAST}.replaced",
    "checkpoints/best", "checkpoints/last", "checkpoints/.best.pointer", "checkpoints/.best.removed",
]  # fmt: skip
FOLDERS = ["plots", "checkpoints", "plots/samples", "tensorboard", *FILES[-8:]]


def outside(folder):
    return {
        str(place.relative_to(folder)): None if place.is_dir() else (place.read_bytes(), place.stat().st_mode)
        for place in sorted(folder.rglob("*"))
    }


@pytest.fixture
def mine(tmp_path):
    """What is the user's: a file that a link may point to, and a folder with files of the names that dlx writes."""
    folder = tmp_path / "mine"
    (folder / "inner" / BEST).mkdir(parents=True)
    (folder / "file").write_text("my own words\n")
    for name in ("curves.png", "test_confusion_matrix.png", "step-00000001.png", BEST + "/model.safetensors"):
        (folder / "inner" / name).write_text("mine")
    return folder


def plant(run, name, target):
    place = run / name
    place.parent.mkdir(exist_ok=True)
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    place.unlink(missing_ok=True)
    place.symlink_to(target)


def use(run):
    """Do all that writes into a run; refusals are one message."""
    for act in (
        lambda: show(str(run), []),
        lambda: evaluate(str(run), [], "test"),
        lambda: train(str(run), ["epochs=13"], name=None, resume=True, runs=run.parent, quiet=True),
        lambda: show(str(run), []),
        lambda: evaluate(str(run), [], "test"),
    ):
        with contextlib.suppress(DlxError):
            act()


@pytest.mark.parametrize("name", FILES)
def test_no_file_of_the_user_is_written_through_a_link(tmp_path, mine, name):
    run = shutil.copytree(OLD, tmp_path / "iris")
    plant(run, name, mine / "file")
    before = outside(mine)
    use(run)
    assert outside(mine) == before


@pytest.mark.parametrize("name", FOLDERS)
def test_no_folder_of_the_user_is_written_through_a_link(tmp_path, mine, name):
    run = shutil.copytree(OLD, tmp_path / "iris")
    plant(run, name, mine / "inner")
    before = outside(mine)
    use(run)
    assert outside(mine) == before


@pytest.mark.parametrize("name", ["plots", "checkpoints"])
def test_a_run_of_links_is_refused_for_writing_and_still_evaluated(tmp_path, name, caplog):
    run = shutil.copytree(OLD, tmp_path / "iris")
    (run / "plots").mkdir()
    (run / name).rename(tmp_path / "elsewhere")
    (run / name).symlink_to(tmp_path / "elsewhere")
    before = outside(tmp_path / "elsewhere")
    with pytest.raises(UsageError, match=f"{name} is a link, and a run is written into its own folders only"):
        Run.open(run)
    assert evaluate(str(run), [], "test")["step"] == 48
    assert f"{name} is a link" in caplog.text or "is a link or a file where a folder of dlx belongs" in caplog.text
    assert outside(tmp_path / "elsewhere") == before


@pytest.mark.parametrize("name", ["train.log", ".lock"])
def test_a_run_whose_records_are_links_does_not_go_on(tmp_path, name):
    run = shutil.copytree(OLD, tmp_path / "iris")
    place = run / name
    target = tmp_path / "target"
    target.write_bytes(place.read_bytes() if place.exists() else b"")
    plant(run, name, target)
    before = target.read_bytes()
    with pytest.raises(DlxError, match="is a link, which dlx does not write through"):
        train(str(run), ["epochs=13"], name=None, resume=True, runs=tmp_path, quiet=True)
    assert target.read_bytes() == before


def test_evaluating_and_showing_write_into_plots_only(tmp_path):
    run = shutil.copytree(OLD, tmp_path / "iris")
    before = outside(run)
    evaluate(str(run), [], "test")
    show(str(run), [])
    after = outside(run)
    assert {name: after[name] for name in before} == before
    assert after.keys() - before.keys() == {
        "plots", "plots/curves.png", "plots/test_confusion_matrix.png", "plots/test_reliability.png"
    }  # fmt: skip


def test_files_have_the_modes_that_the_user_s_mask_gives(tmp_path):
    old = os.umask(0o027)
    try:
        with Run.create(tmp_path, "iris", exact=True) as run:
            run.write_config("seed: 0\n")
            run.append_metrics(1, {"a": 1.0})
            modes = {p.name: oct(p.stat().st_mode & 0o777) for p in [run.path, *run.path.iterdir()]}
    finally:
        os.umask(old)
    folders = dict.fromkeys(("iris", "checkpoints", "plots"), "0o750")
    assert modes == folders | dict.fromkeys((".lock", "config.yaml", "metrics.jsonl"), "0o640")
