"""A terminal that is closed over a training: the last step is saved, and what would be written to it is let go of."""

import itertools
import json
import os
import pty
import signal
import sys
import time

import pytest
from tests.helpers.training import IRIS

MOST = 6000  # looks at a run: against hanging


def begun(run):
    return (run / "metrics.jsonl").exists() and (run / "metrics.jsonl").stat().st_size > 2000


@pytest.mark.parametrize("nohup", [False, True])
def test_a_closed_terminal_stops_training_with_a_checkpoint_unless_nohup_asks_otherwise(tmp_path, nohup):
    (tmp_path / "iris.yaml").write_text(IRIS)
    run = tmp_path / "runs" / "iris"
    choices = ["epochs=100000", "trainer.log_every=1", "+device.compile=false"]  # so many steps would be compiled
    command = [sys.executable, "-m", "dlx", "train", "iris.yaml", *choices]
    child, terminal = pty.fork()
    if child == 0:
        os.chdir(tmp_path)
        if nohup:
            signal.signal(signal.SIGHUP, signal.SIG_IGN)
            os.dup2(os.open(os.devnull, os.O_WRONLY), 2)
        os.execv(command[0], command)
    os.set_blocking(terminal, False)
    looks = itertools.count()
    while not begun(run):
        assert os.waitpid(child, os.WNOHANG) == (0, 0)
        assert next(looks) < MOST
        try:
            os.read(terminal, 2**16)  # else its lines would fill the terminal
        except OSError:
            time.sleep(0.02)
    os.close(terminal)
    if nohup:
        size = (run / "metrics.jsonl").stat().st_size
        while (run / "metrics.jsonl").stat().st_size < size + 2000:  # it goes on
            assert os.waitpid(child, os.WNOHANG) == (0, 0)
            assert next(looks) < MOST
            time.sleep(0.02)
        os.kill(child, signal.SIGTERM)
    number = signal.SIGTERM if nohup else signal.SIGHUP
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 128 + number
    status = json.loads((run / "status.json").read_text())
    assert (status["state"], status["reason"]) == ("interrupted", number.name)
    last = json.loads((run / "metrics.jsonl").read_text().splitlines()[-1])["step"]
    assert status["step"] == last
    assert (run / "checkpoints" / f"step-{last:08d}").is_dir()
