"""Worker processes change nothing of what comes out, say what failed, and end with their parent."""

import os
import signal
import subprocess
import sys
import time

import numpy as np
import pytest
import torch

from dlx import registry
from dlx.data.control import exchange
from dlx.data.control.options import EnvironmentOptions
from dlx.data.control.workers import HOME, Elsewhere
from dlx.errors import DlxError
from dlx.registry.signatures import check


def source(workers, environment="Pendulum-v1"):
    choices = {
        "environment": environment,
        "copies": 3,
        "steps": 6,
        "passes": 1,
        "batch_size": 7,
        "episodes": 3,
        "workers": workers,
    }
    settings = {"settings": {"max_episode_steps": 4}}
    assert "rollouts" in registry.sources
    return registry.sources.build(
        "rollouts", check(registry.sources.signatures["rollouts"], choices | settings)[0], {"seed": 0}
    )


def test_batches_evaluations_and_resuming_are_the_same_with_workers():
    one, other = source(0), source(2)
    try:
        for _ in range(2):
            for a, b in zip(one.train(None), other.train(None), strict=True):
                assert all(torch.equal(a[word], b[word]) for word in a)
        for a, b in zip(one.evaluate(None, "val"), other.evaluate(None, "val"), strict=True):
            assert all(torch.equal(a[word], b[word]) for word in a)
        other.load_state_dict(one.state_dict())
        for a, b in zip(one.train(None), other.train(None), strict=True):
            assert all(torch.equal(a[word], b[word]) for word in a)
        assert one.numbers() == other.numbers()
    finally:
        other.close()
    assert all(worker.process.poll() is not None for worker in other.stage.workers)


def test_values_and_arrays_come_back_as_they_were_written(tmp_path):
    values = {
        "what": "x\ny",
        "row": np.arange(6, dtype=np.uint8).reshape(2, 3),
        "many": [np.zeros(0), np.array([[1.5]])],
        "n": [1, 2],
    }
    with (tmp_path / "file").open("wb") as file:
        exchange.write(file, values)
        exchange.write(file, {"last": True})
    with (tmp_path / "file").open("rb") as file:
        found = exchange.read(file)
        assert found["what"] == "x\ny"
        assert found["row"].tolist() == [[0, 1, 2], [3, 4, 5]]
        assert found["row"].dtype == np.uint8
        assert [array.shape for array in found["many"]] == [(0,), (1, 1)]
        assert found["n"] == [1, 2]
        assert exchange.read(file) == {"last": True}
        assert exchange.read(file) is None
    (tmp_path / "cut").write_bytes((tmp_path / "file").read_bytes()[:-20])
    with (tmp_path / "cut").open("rb") as file:
        assert exchange.read(file) is None


def test_a_worker_that_is_gone_or_cannot_make_its_environment_is_told():
    stage = Elsewhere(EnvironmentOptions(environment="CartPole-v1", workers=1))
    try:
        stage.begin([0], [("train", 0)], [0])
        os.kill(stage.workers[0].process.pid, signal.SIGKILL)
        with pytest.raises(DlxError, match="it was killed"):
            stage.step([0], np.array([0]), again=True)
    finally:
        stage.close()
    stage = Elsewhere(EnvironmentOptions(environment="dlx/Line-v0", workers=1))  # which this process alone knows
    try:
        with pytest.raises(DlxError, match="unknown environment"):
            stage.begin([0], [("train", 0)], [0])
    finally:
        stage.close()


PARENT = """
import sys, time
from dlx.data.control.options import EnvironmentOptions
from dlx.data.control.workers import Elsewhere
stage = Elsewhere(EnvironmentOptions(environment="CartPole-v1", workers=1))
stage.begin([0], [("train", 0)], [0])
print(stage.workers[0].process.pid, flush=True)
time.sleep(600)
"""


def test_workers_end_with_their_parent_however_it_ends():
    environment = os.environ | {"PYTHONPATH": HOME}
    with subprocess.Popen([sys.executable, "-c", PARENT], stdout=subprocess.PIPE, env=environment) as parent:
        worker = int(parent.stdout.readline())
        parent.kill()
    while True:  # a worker that stays would keep the test from ending
        try:
            with open(f"/proc/{worker}/stat") as status:
                if status.read().rpartition(")")[2].split()[0] == "Z":
                    break
        except OSError:
            break
        time.sleep(0.05)
