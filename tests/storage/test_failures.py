"""Failures of the machine: one line that says what did not fit, and numbers that are ready come first."""

import errno
import json
import logging
import os
import shutil
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from tests.helpers.training import IRIS

from dlx import cli
from dlx.commands.evaluate import evaluate
from dlx.commands.show import show
from dlx.commands.train import train
from dlx.engine.trainer import Trainer
from dlx.storage import failures, files

OLD = Path(__file__).parents[1] / "runs" / "iris_0_1"
HUGE = 2**58


def caught(act):
    try:
        act()
    except Exception as error:
        return error
    raise AssertionError("nothing was raised")


@pytest.mark.parametrize(
    ("act", "line"),
    [
        (lambda: torch.empty(HUGE), f"out of memory ({4 * HUGE:,} bytes asked for at once)"),
        (lambda: np.empty(HUGE, np.uint8), f"out of memory (256. PiB for an array of shape ({HUGE},))"),
        (lambda: bytearray(HUGE), "out of memory"),
    ],
)
def test_what_the_libraries_raise_becomes_one_line(act, line):
    assert failures.told(caught(act)) == line


def test_other_libraries_texts_are_known():
    cuda = torch.OutOfMemoryError(
        "CUDA out of memory. Tried to allocate 20.00 GiB. GPU 0 has a total capacity of 79.11 GiB ..."
    )
    assert failures.told(cuda) == "out of memory (20.00 GiB asked for at once)"
    assert failures.told(RuntimeError("mat1 and mat2 shapes cannot be multiplied (1x2 and 3x4)")) is None
    assert failures.told(OSError(errno.ENOSPC, "No space left on device", "/a/b")) == "No space left on device: /a/b"
    assert failures.told(OSError(errno.EROFS, "Read-only file system")) == "Read-only file system"
    assert failures.told(OSError(errno.EACCES, "Permission denied", "/a/b")) is None
    assert failures.told(ValueError("x")) is None


def run_cli(monkeypatch, capfd, *arguments):
    monkeypatch.setattr(sys, "argv", ["dlx", *map(str, arguments)])
    monkeypatch.setattr(logging.getLogger("dlx"), "handlers", [])  # one made before writes to another test's stderr
    output, errors = os.dup(1), os.dup(2)  # a failing command lets go of its standard output
    try:
        with pytest.raises(SystemExit) as ended:
            cli.main()
    finally:
        sys.stdout.flush()
        os.dup2(output, 1)
        os.dup2(errors, 2)
        os.close(output)
        os.close(errors)
    return ended.value.code, *capfd.readouterr()


@pytest.fixture
def config(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "iris.yaml").write_text(IRIS)
    return "iris.yaml"


def exhausted(*_, **__):
    raise MemoryError


def test_training_that_runs_out_of_memory_ends_in_one_line(config, monkeypatch, capfd):
    before = Trainer.descend

    def descend(self, group):
        before(self, group)
        if self.step == 7:
            torch.empty(HUGE)

    monkeypatch.setattr(Trainer, "descend", descend)
    code, _, errors = run_cli(monkeypatch, capfd, "train", config)
    last = errors.splitlines()[-1]
    assert code == 1
    assert "Traceback" not in errors
    assert last.startswith("out of memory: a step of training does not fit (")
    assert last.endswith("asked for at once); a smaller data.batch_size or a smaller model needs less")
    status = json.loads(Path("runs/iris/status.json").read_text())
    assert (status["state"], status["reason"]) == ("failed", last)


@pytest.mark.parametrize(
    ("command", "place", "line"),
    [
        ("check", "dlx.models.sequential.Sequential.__init__", "out of memory"),
        ("train", "dlx.data.shipped.read", "out of memory: the data does not fit"),
        ("check", "dlx.data.shipped.read", "out of memory: the data does not fit"),
        ("train", "dlx.metrics.classification.confusion.Accuracy.update", "out of memory: a batch does not fit"),
        ("check", "dlx.engine.saver.pack", "out of memory"),
    ],
)
def test_memory_may_be_out_anywhere(config, monkeypatch, capfd, command, place, line):
    monkeypatch.setattr(place, exhausted)
    code, _, errors = run_cli(monkeypatch, capfd, command, config)
    assert code == 1
    assert "Traceback" not in errors
    assert errors.splitlines()[-1].startswith(line)


@pytest.mark.parametrize("command", ["eval", "predict"])
def test_memory_may_be_out_when_a_checkpoint_is_used(tmp_path, monkeypatch, capfd, command):
    run = shutil.copytree(OLD, tmp_path / "iris")
    monkeypatch.setattr("dlx.tasks.classification.Classification.predict", exhausted)
    code, _, errors = run_cli(monkeypatch, capfd, command, run, *["5.1,3.5,1.4,0.2"] * (command == "predict"))
    assert code == 1
    assert errors.splitlines()[-1].startswith("out of memory")
    assert "Traceback" not in errors


def refuse(code):
    def refusing(*_, **__):
        raise OSError(code, os.strerror(code), "/full")

    return refusing


@pytest.mark.parametrize("code", [errno.ENOSPC, errno.EROFS, errno.EACCES, errno.EDQUOT])
def test_numbers_are_printed_where_pictures_cannot_be_written(tmp_path, monkeypatch, capfd, code):
    run = shutil.copytree(OLD, tmp_path / "iris")
    monkeypatch.setattr(files, "make_folder", refuse(code))
    ended, output, errors = run_cli(monkeypatch, capfd, "eval", run, "--json")
    assert ended == 0
    assert json.loads(output)["test/accuracy"] == pytest.approx(0.9333333333333333)
    assert json.loads(output)["pictures"] == []
    assert errors == f"warning: pictures in {run / 'plots'} could not be drawn: {os.strerror(code)}: /full\n"
    ended, output, errors = run_cli(monkeypatch, capfd, "show", run)
    assert (ended, output.splitlines()[1]) == (0, "best val/accuracy 1.0000 at step 48")
    assert errors == f"warning: {run / 'plots' / 'curves.png'} could not be drawn: {os.strerror(code)}: /full\n"


def test_a_picture_that_cannot_be_drawn_takes_nothing_with_it(tmp_path, monkeypatch, caplog):
    run = shutil.copytree(OLD, tmp_path / "iris")
    monkeypatch.setattr("dlx.pictures.figures.matrix", lambda *_: 1 / 0)
    monkeypatch.setattr("dlx.pictures.figures.curves", lambda *_, **__: 1 / 0)
    found = evaluate(str(run), [], "test")
    assert found["pictures"] == [str(run / "plots" / "test_reliability.png")]
    assert "could not be drawn: division by zero" in caplog.text
    assert "finished, step 72" in show(str(run), [])


def test_what_a_task_shows_may_fail_in_training(config, monkeypatch, caplog):
    monkeypatch.setattr("dlx.tasks.classification.Classification.show", lambda *_: 1 / 0)
    assert train(config, [], name=None, resume=False, runs=Path("runs"), quiet=True)["step"] == 18
    assert "warning: what the task shows could not be drawn: division by zero" in caplog.text


def test_a_status_that_cannot_be_written_does_not_hide_why_training_failed(config, monkeypatch, capfd):
    def descend(self, group):
        monkeypatch.setattr("dlx.storage.files.write", refuse(errno.ENOSPC))
        torch.empty(HUGE)

    monkeypatch.setattr(Trainer, "descend", descend)
    code, _, errors = run_cli(monkeypatch, capfd, "train", config)
    lines = errors.splitlines()
    assert code == 1
    assert lines[-1].startswith("out of memory: a step of training does not fit")
    assert any(line.startswith("warning: cannot write ") and "status.json: No space left on device" in line for line in lines)
    assert "Traceback" not in errors


def test_an_output_without_room_is_one_line(tmp_path):
    if not os.path.exists("/dev/full"):
        pytest.skip("/dev/full is needed")
    command = [sys.executable, "-m", "dlx", "list-tasks"]
    with open("/dev/full", "w") as full:
        done = subprocess.run(command, stdout=full, stderr=subprocess.PIPE, text=True)
    assert (done.returncode, done.stderr) == (1, "No space left on device\n")
