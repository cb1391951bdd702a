"""A terminal that is closed over a training: the last step is saved, and what would be written to it is let go of."""

import contextlib
import json
import os
import pty
import signal
import sys
import time

import pytest

from training import IRIS


def metrics(run):
    return (run / "metrics.jsonl").stat().st_size if (run / "metrics.jsonl").exists() else 0


def wait_for(child, true, terminal=None):
    """Wait until something holds, while the child lives and its terminal takes what it writes; not for ever."""
    for _ in range(6000):
        if true():
            return
        assert os.waitpid(child, os.WNOHANG) == (0, 0)
        with contextlib.suppress(OSError):
            os.read(terminal, 2**16) if terminal is not None else None
        time.sleep(0.02)
    raise AssertionError("it did not come to that")


@pytest.mark.parametrize("nohup", [False, True])
def test_a_closed_terminal_stops_training_with_a_checkpoint_unless_nohup_asks_otherwise(tmp_path, nohup):
    (tmp_path / "iris.yaml").write_text(IRIS)
    run = tmp_path / "runs" / "iris"
    choices = ["epochs=100000", "trainer.log_every=1"]
    command = [sys.executable, "-m", "dlx", "train", "iris.yaml", *choices]
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        if nohup:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.execv(command[0], command)
    os.set_blocking(terminal, False)
    wait_for(child, lambda: metrics(run) > 2000, terminal)
    os.close(terminal)
    if nohup:
        size = metrics(run)
        wait_for(child, lambda: metrics(run) > size + 2000)  # it goes on
        os.kill(child, signal.SIGTERM)
    number = signal.SIGTERM if nohup else signal.SIGHUP
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 128 + number
    status = json.loads((run / "status.json").read_text())
    assert (status["state"], status["reason"]) == ("interrupted", number.name)
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"]
    assert status["step"] == last
    assert (run / "checkpoints" / f"step-{last:08d}").is_dir()
