"""The run directory: one process, whole files, metrics that survive a kill."""

import json
import math
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

from dlx.errors import DlxError, UsageError
from dlx.storage import checkpoint
from dlx.storage.locating import locate, run_of
from dlx.storage.machine import environment
from dlx.storage.records import read_metrics
from dlx.storage.run import Run


def state(step, best=None):
    told = {"step": best, "name": "loss", "value": 0.5, "loss": 0.5} if best is not None else None
    rest = {"totals": {}, "source": {}, "schedules": {}, "average_updates": 0, "optimizer": {}, "random": {}}
    return json.dumps({"step": step, "seconds": 0.0, "waited": 0, "best": told, **rest}).encode()


def save(run, *steps, best=None):
    for step in steps:
        path = checkpoint.write(run.checkpoints / checkpoint.step_name(step), {"state.json": state(step, best)})
        checkpoint.point(run.checkpoints, "last", path)
    return path


def python(code, *arguments):
    return subprocess.Popen([sys.executable, "-c", code, *map(str, arguments)], stdout=subprocess.PIPE, text=True)


HOLD = """if True:
    import os, sys, time
    from pathlib import Path
    from dlx.storage.run import Run
    run = Run.open(Path(sys.argv[1]))
    if "fork" not in sys.argv or not os.fork():  # of two, the forked worker tells
        print("ready", flush=True)
    time.sleep(15)
"""


def test_a_taken_name_is_numbered_or_refused(tmp_path):
    paths = []
    for _ in range(3):
        with Run.create(tmp_path / "runs", "iris", exact=False) as run:
            paths.append(run.path.name)
            assert run.checkpoints.is_dir()
            assert run.plots.is_dir()
    assert paths == ["iris", "iris-2", "iris-3"]
    with pytest.raises(UsageError, match=r"run .*iris exists; choose another --name, or go on with it by --resume"):
        Run.create(tmp_path / "runs", "iris", exact=True)
    with Run.create(tmp_path / "runs", "other", exact=True) as run:
        assert run.path == tmp_path / "runs" / "other"


@pytest.mark.parametrize("name", ["", ".", "..", ".hidden", "a/b", "/a", "a\\b"])
def test_a_name_is_one_plain_directory(tmp_path, name):
    with pytest.raises(UsageError, match="no name for a run"):
        Run.create(tmp_path / "runs", name, exact=False)


def test_processes_at_once_get_different_names(tmp_path):
    code = """if True:
        import sys, time
        from pathlib import Path
        from dlx.storage.run import Run
        time.sleep(max(0, float(sys.argv[2]) - time.time()))
        for _ in range(20):
            with Run.create(Path(sys.argv[1]), "iris", exact=False) as run:
                print(run.path.name)
    """
    children = [python(code, tmp_path, time.time() + 0.3) for _ in range(3)]
    taken = [name for child in children for name in child.communicate()[0].split()]
    assert sorted(taken) == sorted(["iris", *(f"iris-{number}" for number in range(2, 61))])


def test_only_run_directories_are_opened(tmp_path):
    (tmp_path / "notes.txt").touch()
    for path in (tmp_path, tmp_path / "notes.txt", tmp_path / "absent"):
        with pytest.raises(UsageError, match="is no run directory"):
            Run.open(path)
    assert [path.name for path in tmp_path.iterdir()] == ["notes.txt"]


@pytest.mark.parametrize("made", [[], [".lock"], [".lock", "checkpoints"]])
def test_a_run_whose_making_was_killed_is_opened(tmp_path, made):
    for name in made:
        (tmp_path / name).touch() if name == ".lock" else (tmp_path / name).mkdir()
    with Run.open(tmp_path) as run:
        assert run.checkpoints.is_dir()
        assert run.plots.is_dir()


def test_a_run_is_held_by_one_process(tmp_path):
    pytest.importorskip("fcntl")
    run = Run.create(tmp_path, "iris", exact=True)
    with pytest.raises(UsageError, match=rf"iris is being trained by process {os.getpid()} on "):
        Run.open(run.path)
    run.close()
    run.close()  # twice is no harm
    Run.open(run.path).close()


@pytest.mark.parametrize("workers", ["", "fork"])
def test_a_killed_process_frees_its_run(tmp_path, workers):
    pytest.importorskip("fcntl")
    Run.create(tmp_path, "iris", exact=True).close()
    child = python(HOLD, tmp_path / "iris", workers)
    assert child.stdout.readline() == "ready\n"
    with pytest.raises(UsageError, match=f"is being trained by process {child.pid} on "):
        Run.open(tmp_path / "iris")
    child.send_signal(signal.SIGKILL)
    child.wait()
    child.stdout.close()
    Run.open(tmp_path / "iris").close()  # at once, though the forked worker lives on


def test_opening_tidies_up_after_a_kill(tmp_path):
    with Run.create(tmp_path, "iris", exact=True) as run:
        path = save(run, 1)
        (run.checkpoints / ".step-00000002.partial").mkdir()
    with Run.open(run.path) as run:
        assert sorted(os.listdir(run.checkpoints)) == ["last", path.name]


def test_documents_are_whole_and_replaced(tmp_path):
    with Run.create(tmp_path, "iris", exact=True) as run:
        run.write_config("seed: 1\n")
        run.write_config("seed: 2\n")
        run.write_environment(environment())
        run.write_status("running", step=3)
        run.write_status("failed", step=4, reason="no space")
        assert (run.path / "config.yaml").read_bytes() == b"seed: 2\n"
        status = json.loads((run.path / "status.json").read_text())
        assert {key: status[key] for key in ("state", "step", "reason", "pid")} == {
            "state": "failed", "step": 4, "reason": "no space", "pid": os.getpid()
        }  # fmt: skip
        assert not [name for name in os.listdir(run.path) if name.endswith(".partial")]


def test_metrics_read_back_exactly(tmp_path):
    import torch

    numbers = {"epoch": 1, "train/loss": 0.1 + 0.2, "tiny": 5e-324, "tensor": torch.tensor(0.1), "bad": math.inf}
    with Run.create(tmp_path, "iris", exact=True) as run:
        assert run.read_metrics() == []
        run.append_metrics(3, numbers)
        run.sync_metrics()
        (entry,) = run.read_metrics()
        assert math.isnan(entry.pop("bad"))
        expected = {"step": 3, "epoch": 1, "train/loss": 0.1 + 0.2, "tiny": 5e-324, "tensor": float(torch.tensor(0.1))}
        assert entry == expected
        assert run.metrics_path.read_text().endswith('"bad": null}\n')


@pytest.mark.parametrize("torn", [b"", b"{", b'{"step": 4', b'{"step": 4, "a": 1}', b"\0\0\0\0", b"\0\n\0", b'{"a": 1}\n'])
def test_metrics_after_the_checkpoint_are_dropped(tmp_path, torn):
    with Run.create(tmp_path, "iris", exact=True) as run:
        for step in (1, 2, 2, 3):
            run.append_metrics(step, {"train/loss": step / 3})
        whole = run.metrics_path.read_bytes()
        run.metrics_path.write_bytes(whole + torn)
        assert [entry["step"] for entry in read_metrics(run.path)] == [1, 2, 2, 3]
        run.truncate_metrics(3)
        assert run.metrics_path.read_bytes() == whole
        run.truncate_metrics(2)
        run.append_metrics(3, {"train/loss": 3 / 3})
        assert run.metrics_path.read_bytes() == whole


def test_damage_in_the_middle_of_metrics_is_told(tmp_path):
    with Run.create(tmp_path, "iris", exact=True) as run:
        run.metrics_path.write_bytes(b'{"step": 1}\n{"st\n{"step": 3}\n')
        with pytest.raises(DlxError, match=r"metrics.jsonl:2: damaged line in the middle"):
            run.truncate_metrics(3)


def test_a_full_disk_is_told(tmp_path, monkeypatch):
    def full(*_):
        raise OSError(28, "No space left on device")

    with Run.create(tmp_path, "iris", exact=True) as run:
        monkeypatch.setattr("dlx.storage.files.append", full)
        with pytest.raises(DlxError, match=r"cannot write .*metrics.jsonl: No space left on device"):
            run.append_metrics(1, {"train/loss": 1.0})


def test_environment_keeps_no_secrets(monkeypatch):
    monkeypatch.setenv("WANDB_API_KEY", "hidden-1234")
    monkeypatch.setenv("OMP_NUM_THREADS", "2")
    text = json.dumps(environment())
    assert "hidden-1234" not in text
    assert json.loads(text)["variables"]["OMP_NUM_THREADS"] == "2"


def test_a_checkpoint_is_found_by_all_its_names(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with Run.create(Path("runs"), "iris", exact=True) as run:
        save(run, 1, 2)
        (run.path / "config.yaml").write_text("")
    old, new = (run.checkpoints / checkpoint.step_name(step) for step in (1, 2))
    for path in ("iris", "runs/iris", "runs/iris/", "iris/last", "runs/iris/last", "runs/iris/checkpoints/last", str(new)):
        assert locate(path) == new, path
    assert locate(str(old)) == old
    with pytest.raises(UsageError, match="run runs/iris has no best checkpoint; the last one is runs/iris/last"):
        locate("iris/best")
    save(run, 2, best=1)  # the state tells what is best, and no link
    for path in ("iris", "runs/iris", "runs/iris/best", "iris/best", "runs/iris/checkpoints", str(tmp_path / "runs/iris")):
        assert locate(path).resolve() == old.resolve(), path
    assert locate("iris/last") == new
    monkeypatch.chdir(run.path)
    assert locate(".").resolve() == locate("best").resolve() == (tmp_path / old)
    monkeypatch.chdir(run.checkpoints.name)
    assert locate("last").resolve() == (tmp_path / new)

    monkeypatch.chdir(tmp_path)
    assert run_of(old) == run.path.absolute()
    (tmp_path / "copied").mkdir()
    copied = checkpoint.write(tmp_path / "copied" / "mine", {"a": b""})
    assert locate(str(copied)) == copied
    assert run_of(copied) is None


def test_what_cannot_be_found_is_told(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Run.create(Path("runs"), "iris_mlp", exact=True).close()
    Path("config.yaml").write_text("")
    for path, words in {
        "runs/iris_mpl": "runs/iris_mpl: no run or checkpoint is there; did you mean 'runs/iris_mlp'?",
        "iris_mpl": "iris_mpl: no run or checkpoint is there; did you mean 'runs/iris_mlp'?",
        "runs/iris_mpl/best": "runs/iris_mpl/best: no run or checkpoint is there; did you mean 'runs/iris_mlp'?",
        "zzz": "zzz: no run or checkpoint is there",
        "iris_mlp": "run runs/iris_mlp has no checkpoint yet",
        "iris_mlp/last": "run runs/iris_mlp has no last checkpoint",
        "config.yaml": "config.yaml is a file, not a run or a checkpoint",
    }.items():
        with pytest.raises(UsageError) as error:
            locate(path)
        assert str(error.value) == words


def test_the_last_one_is_found_though_its_pointer_was_not_moved(tmp_path):
    with Run.create(tmp_path, "iris", exact=True) as run:
        path = save(run, 1)
    (run.checkpoints / "last").unlink()
    assert locate(str(run.path)) == path
    checkpoint.remove(path)
    with pytest.raises(UsageError, match="has no checkpoint yet"):
        locate(str(run.path))
