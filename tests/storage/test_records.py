"""status.json and metrics.jsonl: whatever they hold, they are read as what they are or refused in one message."""

import json
import os
import socket
import subprocess
import sys
from pathlib import Path

import pytest

from dlx.commands.show import show
from dlx.commands.train import train
from dlx.errors import DlxError
from dlx.storage.records import read_metrics, read_status
from dlx.storage.run import Run

OLD = Path(__file__).parents[1] / "runs" / "iris_0_1"
DEEP = b"[" * 200_000
DAMAGED = [
    b"", b"{", b"\xff", DEEP, b'{"state":' * 50_000, b"[]", b"3", b"null", b'"running"', b'{"state": 3}', b'{"step": "x"}',
    b'{"best": []}', b'{"best": {"name": 3}}', b'{"best": {"name": "a", "value": "x", "step": 1}}', b'{"reason": {}}',
    b'{"best": {"name": "a", "value": 1.0, "step": ' + b"9" * 5000 + b"}}", b'{"pid": []}', b" " * 2_000_000,
]  # fmt: skip


@pytest.mark.parametrize("content", DAMAGED, ids=range(len(DAMAGED)))
def test_a_damaged_status_is_one_message(tmp_path, content):
    (tmp_path / "config.yaml").write_text("")
    (tmp_path / "status.json").write_bytes(content)
    with pytest.raises(DlxError, match=r"status.json( is damaged|: is larger than|.*is larger than)") as caught:
        show(str(tmp_path), [])
    assert "\n" not in str(caught.value)


LINES = [
    DEEP, b"[]", b"3", b'{"step": "1"}', b'{"step": true}', b'{"step": 1.0}', b'{"step": 1, "a": "x"}',
    b'{"step": 1, "a": [1]}',
    b'{"step": 1, "a": ' + b"9" * 400 + b"}", b'{"step": ' + b"9" * 400 + b"}", b'{"step": 1, "a": true}', b"\xff", b"{}",
]  # fmt: skip


@pytest.mark.parametrize("line", LINES, ids=range(len(LINES)))
def test_a_damaged_line_of_metrics_is_one_message(tmp_path, line):
    run = tmp_path / "run"
    with Run.create(tmp_path, "run", exact=True) as made:
        made.write_config("")
    (run / "metrics.jsonl").write_bytes(b'{"step": 1, "train/loss": 1.0}\n' + line + b'\n{"step": 2}\n')
    for act in (lambda: show(str(run), []), lambda: Run.open(run).truncate_metrics(3)):
        with pytest.raises(DlxError, match=r"metrics.jsonl:2: damaged line in the middle of the file$"):
            act()
    (run / "metrics.jsonl").write_bytes(b'{"step": 1, "train/loss": 1.0}\n' + line + b"\n")  # where writing broke off
    assert read_metrics(run) == [{"step": 1, "train/loss": 1.0}]


@pytest.mark.parametrize("name", ["metrics.jsonl", "status.json"])
def test_what_is_no_file_and_what_is_too_large_is_neither_waited_for_nor_read(tmp_path, name):
    read = read_metrics if name == "metrics.jsonl" else read_status
    os.mkfifo(tmp_path / name)
    with pytest.raises(DlxError, match=f"cannot read .*{name}: is no regular file"):
        list(read(tmp_path))
    (tmp_path / name).unlink()
    with open(tmp_path / name, "wb") as sparse:
        sparse.truncate(2**40)
    with pytest.raises(DlxError, match=f"cannot read .*{name}: is larger than"):
        list(read(tmp_path))


def test_a_number_too_large_for_a_line_reads_back(tmp_path):
    with Run.create(tmp_path, "run", exact=True) as run:
        run.append_metrics(1, {"a": 10**30})
        assert run.read_metrics() == [{"step": 1, "a": 1e30}]


def running(run, **more):
    (run / "config.yaml").touch()
    status = {"state": "running", "step": 0, "host": socket.gethostname(), **more}
    (run / "status.json").write_text(json.dumps(status))
    return show(str(run), []).splitlines()[0]


def test_a_killed_run_is_told_from_one_that_goes_on(tmp_path):
    child = subprocess.Popen([sys.executable, "-c", ""])
    child.wait()
    with Run.create(tmp_path, "run", exact=True) as run:
        run.append_metrics(7, {"train/loss": 1.0})
        told = f"run {run.path}: running"
        assert running(run.path, pid=os.getpid()) == f"{told}, step 7"
        assert running(run.path, pid=child.pid) == f"{told} (process {child.pid} is gone: it was killed), step 7"
        assert running(run.path, pid=child.pid, host="another") == f"{told}, step 7"
        assert running(run.path, pid=10**30) == f"{told} (process {10**30} is gone: it was killed), step 7"
    # The number is that of a process again, but none holds the run.
    assert running(run.path, pid=os.getpid()) == f"{told} (process {os.getpid()} is gone: it was killed), step 7"


def test_a_run_that_was_damaged_in_its_status_alone_goes_on(tmp_path):
    import shutil

    run = shutil.copytree(OLD, tmp_path / "iris")
    (run / "status.json").write_bytes(DEEP)
    train(str(run), ["epochs=13"], name=None, resume=True, runs=tmp_path, quiet=True)
    assert read_status(run)["state"] == "finished"
