"""Runs that were stopped and go on: signals, refusals, damage, and the command that evaluates what came of it."""

import contextlib
import json
import os
import shutil
import signal
import subprocess
import sys
import time

import pytest
from tests.helpers.training import IRIS

from dlx.commands.evaluate import evaluate
from dlx.commands.train import train
from dlx.engine.step import NonFiniteError
from dlx.engine.trainer import Trainer
from dlx.errors import DlxError, InterruptedBySignalError, UsageError
from dlx.storage import checkpoint
from dlx.storage.checkpoint import CheckpointError
from dlx.storage.run import Run

pytestmark = pytest.mark.usefixtures("blank_pictures")

CONFIG = IRIS + "schedule: {name: cosine, warmup: 5}\n"
TENSORS = ("model.safetensors", "optimizer.safetensors", "training.safetensors")


@pytest.fixture
def config(tmp_path):
    path = tmp_path / "iris.yaml"
    path.write_text(CONFIG)
    return path


def go(config, name, *overrides, resume=False):
    """Train in this process; the run's folder."""
    train(str(config), list(overrides), name=name, resume=resume, runs=config.parent / "runs", quiet=True)
    return config.parent / "runs" / name


def status(run):
    return json.loads((run / "status.json").read_text())["state"]


def lines(run):
    rows = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    return [{key: value for key, value in row.items() if key not in ("seconds", "train/waiting")} for row in rows]


def end(run):
    """Read what two equal runs have in common."""
    folder = run / "checkpoints"
    found = {name: os.readlink(folder / name) for name in ("best", "last")}
    for name in ("best", "last"):
        found |= {f"{name}/{file}": content for file, content in checkpoint.read(folder / name).items() if file in TENSORS}
    return found | {"lines": lines(run), "kept": sorted(path.name for path in folder.iterdir())}


def at_step(monkeypatch, step, act):
    """Do something in the middle of training, right after a step."""
    descend = Trainer.descend

    def patched(self, group):
        descend(self, group)
        if self.step == step:
            act()

    monkeypatch.setattr(Trainer, "descend", patched)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT, signal.SIGHUP])
@pytest.mark.parametrize("step", [1, 7, 12])
def test_a_run_stopped_by_a_signal_is_saved_and_ends_the_same(config, monkeypatch, number, step):
    alone = go(config, "alone")
    before = signal.getsignal(number)
    with monkeypatch.context() as patch:
        at_step(patch, step, lambda: os.kill(os.getpid(), number))
        with pytest.raises(InterruptedBySignalError) as caught:
            go(config, "stopped")
    run = config.parent / "runs" / "stopped"
    assert caught.value.signal == number
    assert signal.getsignal(number) == before
    assert status(run) == "interrupted"
    assert os.readlink(run / "checkpoints" / "last") == checkpoint.step_name(step)
    assert end(go(config, "stopped", resume=True)) == end(alone)
    assert status(run) == "finished"


def test_a_second_ctrl_c_stops_at_once_and_loses_nothing_saved(config, monkeypatch):
    def twice():
        os.kill(os.getpid(), signal.SIGINT)
        os.kill(os.getpid(), signal.SIGINT)

    with monkeypatch.context() as patch:
        at_step(patch, 9, twice)
        with pytest.raises(KeyboardInterrupt):
            go(config, "stopped", "+trainer.save_every=4")
    run = config.parent / "runs" / "stopped"
    assert status(run) == "interrupted"
    assert os.readlink(run / "checkpoints" / "last") == checkpoint.step_name(8)
    assert end(go(config, "stopped", "+trainer.save_every=4", resume=True)) == end(go(config, "alone", "+trainer.save_every=4"))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_the_process_ends_with_the_signal_s_code(config, number):
    config.write_text(IRIS)
    long = ["epochs=100000", "trainer.log_every=1", "device.compile=false"]  # as the short run, whose steps are as written
    command = [sys.executable, "-m", "dlx", "train", str(config), *long, "--name", "x", "--runs", str(config.parent / "runs")]
    run = config.parent / "runs" / "x"
    child = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True)
    while not ((run / "metrics.jsonl").exists() and lines(run)) and child.poll() is None:
        time.sleep(0.02)
    if number == signal.SIGTERM:
        with pytest.raises(UsageError, match=f"is being trained by process {child.pid} on") as refused:
            go(config, "x", *long, resume=True)
        assert refused.value.code == 2
    child.send_signal(number)
    _, errors = child.communicate(timeout=60)
    assert child.returncode == 128 + number
    assert "Traceback" not in errors
    assert status(run) == "interrupted"
    step = int(os.readlink(run / "checkpoints" / "last")[5:])
    assert step > 0
    long[0] = f"epochs={step // 6 + 1}"
    assert end(go(config, "x", *long, resume=True)) == end(go(config, "alone", *long))


@pytest.mark.parametrize("left", [[], [".lock"], [".lock", "checkpoints"], [".lock", "checkpoints", "plots", "config.yaml"]])
def test_a_run_whose_making_was_killed_begins_at_the_beginning(config, left):
    alone = go(config, "alone")
    run = config.parent / "runs" / "killed"
    run.mkdir()
    for name in left:
        (run / name).mkdir() if name in ("checkpoints", "plots") else (run / name).touch()
    assert end(go(config, "killed", resume=True)) == end(alone)


def test_resume_without_a_run_begins_one(config):
    assert end(go(config, "new", resume=True)) == end(go(config, "alone"))
    with pytest.raises(UsageError, match="exists"):
        go(config, "alone")


def test_what_a_kill_in_a_save_left_is_tidied_up(config, monkeypatch):
    """The process dies after any of the calls that change the folder of checkpoints; resuming puts all in order."""
    choices, calls = ["epochs=2", "+trainer.save_every=9"], [0]
    alone = end(go(config, "alone", *choices))

    def dying(function, last):
        def wrapped(*arguments):
            result = function(*arguments)
            calls[0] += 1
            if calls[0] == last:
                raise KeyboardInterrupt
            return result

        return wrapped

    for last in range(1, 30):
        calls[0] = 0
        with monkeypatch.context() as patch, contextlib.suppress(KeyboardInterrupt):
            for name in ("write", "point", "remove"):
                patch.setattr(checkpoint, name, dying(getattr(checkpoint, name), last))
            go(config, f"run{last}", *choices)
            break  # there was no such call
        assert end(go(config, f"run{last}", *choices, resume=True)) == alone, f"killed after call {last}"
    assert 8 < last < 20


def test_lines_after_the_checkpoint_are_dropped(config):
    run = go(config, "alone")
    wanted = end(run)
    with (run / "metrics.jsonl").open("a") as file:
        file.write('{"step": 19, "train/loss": 1}\n{"step": 20, "tra')
    assert end(go(config, "alone", resume=True)) == wanted


def test_an_extended_run_equals_the_longer_one(config):
    config.write_text(IRIS)
    go(config, "short", "epochs=2")
    assert end(go(config, "short", "epochs=4", resume=True)) == end(go(config, "long", "epochs=4"))


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        (["optimizer.lr=0.02"], [r"optimizer.lr \(0.01 -> 0.02\)"]),
        (["+seed=3"], [r"seed \(0 -> 3\)"]),
        (["data.batch_size=8", "model.layers[0].dense.size=9"], ["model.layers", r"data.batch_size \(16 -> 8\)"]),
        (["+trainer.ema=0.9"], [r"trainer.ema \(None -> 0.9\)"]),
        (["+metrics=[accuracy]"], ["metrics"]),
    ],
)
def test_another_experiment_is_no_resumption(config, changes, named):
    run = go(config, "run")
    wanted, before = end(run), (run / "status.json").read_text()
    with pytest.raises(UsageError, match="the experiment must stay as it was; changed: " + ".*".join(named)):
        go(config, "run", *changes, resume=True)
    assert end(run) == wanted
    assert (run / "status.json").read_text() == before, "a refusal leaves the status alone"


def test_what_does_not_change_the_experiment_may_change(config):
    alone = go(config, "alone")
    changed = go(config, "alone", "+trainer.keep=3", "trainer.log_every=9", "+loggers=[]", resume=True)
    assert end(changed) == end(alone)


def test_a_number_written_otherwise_is_the_same(config):
    run = go(config, "run", "+optimizer.weight_decay=0.0")
    assert end(go(config, "run", "+optimizer.weight_decay=0", resume=True)) == end(run)


def test_data_that_changed_is_refused(config, tmp_path):
    table = tmp_path / "table.csv"
    rows = [f"{i},{i % 7},{'ab'[i % 2]}" for i in range(40)]
    table.write_text("\n".join(["x,y,label", *rows]) + "\n")
    config.write_text(f"task: classification\ndata: {{name: csv, train: {table}, target: label}}\nmodel: mlp\nepochs: 1\n")
    run = go(config, "run")
    table.write_text("\n".join(["x,y,label", *rows[:-8]]) + "\n")
    before = (run / "status.json").read_text()
    with pytest.raises(DlxError, match="the training split is not the one that this run began with"):
        go(config, "run", "epochs=2", resume=True)
    assert (run / "status.json").read_text() == before


def damage(folder):
    path = folder / "model.safetensors"
    content = bytearray(path.read_bytes())
    content[-3] ^= 1
    path.write_bytes(content)


def test_a_damaged_checkpoint_is_passed_over_with_a_warning(config):
    choices = ["+trainer.keep=2", "+trainer.save_every=4"]
    run = go(config, "run", *choices)
    wanted = end(run)
    newest, older = checkpoint.steps(run / "checkpoints")[:2]
    assert (newest.name, older.name) == ("step-00000018", "step-00000016")
    damage(newest)
    assert end(go(config, "run", *choices, resume=True)) == wanted
    log = (run / "train.log").read_text()
    assert "warning: " in log
    assert "model.safetensors is damaged" in log
    assert "resuming at step 16 of 18" in log


def test_damaged_checkpoints_alone_are_an_error(config):
    run = go(config, "run")
    for folder in checkpoint.steps(run / "checkpoints"):
        damage(folder)
    metrics = (run / "metrics.jsonl").read_bytes()
    with pytest.raises(CheckpointError, match=r"no checkpoint in .* can be read") as caught:
        go(config, "run", resume=True)
    assert caught.value.code == 1
    assert (run / "metrics.jsonl").read_bytes() == metrics
    with Run.open(run):
        pass  # the lock was given back


def test_a_failed_run_keeps_its_last_healthy_checkpoint_and_says_why(config):
    with pytest.raises(NonFiniteError, match=r"^step \d+: the ") as caught:
        go(
            config,
            "run",
            "task=regression",
            "data=diabetes",
            "model=mlp",
            "optimizer={name: sgd, lr: 1e30}",
            "+trainer.save_every=1",
        )
    run = config.parent / "runs" / "run"
    stated = json.loads((run / "status.json").read_text())
    assert (stated["state"], caught.value.code) == ("failed", 1)
    assert stated["reason"] == f"NonFiniteError: {caught.value}"
    from dlx.storage import snapshot

    tensors = snapshot.unpack_tensors(checkpoint.read(run / "checkpoints" / "last")["model.safetensors"])
    assert all(tensor.isfinite().all() for tensor in tensors.values())
    assert os.readlink(run / "checkpoints" / "last") == checkpoint.step_name(stated["step"])


def test_folders_that_cannot_be_written_fail_before_the_first_step(config, monkeypatch):
    def full(partial, files):
        raise OSError(28, "No space left on device", str(partial))

    with monkeypatch.context() as patch:
        patch.setattr(checkpoint, "_fill", full)
        with pytest.raises(DlxError, match=r"cannot save checkpoint .*No space left on device") as caught:
            go(config, "run")
    run = config.parent / "runs" / "run"
    assert caught.value.code == 1
    assert json.loads((run / "status.json").read_text())["step"] == 0
    assert not (run / "metrics.jsonl").exists() or not lines(run)
    assert end(go(config, "run", resume=True)) == end(go(config, "alone"))


def test_a_number_to_monitor_that_there_is_not_is_told_with_its_place(config):
    config.write_text(IRIS.replace("log_every: 2", "monitor: acuracy"))
    with pytest.raises(UsageError, match=r"iris.yaml:13:11 trainer.monitor: no number 'acuracy'; did you mean 'accuracy'"):
        go(config, "run")
    assert not (config.parent / "runs").exists()  # nothing is left behind


def test_curves_that_cannot_be_drawn_are_no_failure(config, monkeypatch):
    monkeypatch.setattr("dlx.pictures.figures.curves", lambda rows: 1 / 0)
    monkeypatch.setattr("dlx.pictures.figures.matrix", lambda *words: 1 / 0)
    run = go(config, "run")
    assert status(run) == "finished"
    log = (run / "train.log").read_text()
    assert "warning: the curves could not be drawn" in log
    assert "warning: the best evaluation could not be drawn" in log


@pytest.mark.parametrize("ema", [[], ["+trainer.ema=0.8"]])
def test_the_last_line_of_validation_is_what_eval_finds(config, ema):
    run = go(config, "run", *ema, "+trainer.keep=5")
    by_step = {row["step"]: row for row in lines(run) if "val/loss" in row}
    for pointer in ("last", "best"):
        found = evaluate(str(run / "checkpoints" / pointer), [], "val")
        wanted = {key: value for key, value in by_step[found["step"]].items() if key.startswith("val/")}
        assert {key: found[key] for key in wanted} == wanted  # eval looks closer and tells more
        assert found["baseline/accuracy"] == pytest.approx(1 / 3)


def test_a_checkpoint_alone_can_be_evaluated(config, tmp_path):
    run = go(config, "run")
    wanted = evaluate(str(run), [], "test")
    shutil.copytree((run / "checkpoints" / "best").resolve(), tmp_path / "alone")
    shutil.rmtree(run)
    found = evaluate(str(tmp_path / "alone"), [], "test")
    assert {k: v for k, v in found.items() if "/" in k} == {k: v for k, v in wanted.items() if "/" in k}
