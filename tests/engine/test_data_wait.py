"""How long steps wait for their data is told, and nothing else depends on it."""

import time

import pytest
from tests.helpers.training import IRIS, Kept

from dlx.engine import data_wait
from dlx.engine.data_wait import Waiting


@pytest.fixture
def clock(monkeypatch):
    """A clock that stands still until it is moved."""
    now = [0.0]
    monkeypatch.setattr(time, "perf_counter", lambda: now[0])
    return now


class Still:
    """Stands for a source."""

    keeps_tensors = False

    def state_dict(self):
        return {}


def steps(meter, clock, count, drawing, working):
    """Take steps of so many seconds, with a pause between them in which training does something else."""

    def batches():
        while True:
            clock[0] += drawing
            yield {}

    source = batches()
    for _ in range(count):
        meter.take(source, 1, Still())
        clock[0] += working
        meter.add(clock[0])
        clock[0] += 100


def test_the_share_is_that_of_the_steps_since_the_last_line(clock):
    meter = Waiting(200)
    assert meter.share() == 0
    steps(meter, clock, 1, 50, 1)  # the first batch is made with what is made only once
    assert meter.share() == 0
    steps(meter, clock, 4, 1, 3)
    assert meter.share() == 0.25
    steps(meter, clock, 2, 3, 1)
    assert meter.share() == 0.75


def test_advice_comes_once_and_only_after_a_slow_span(clock):
    meter = Waiting(50)
    steps(meter, clock, 51, 0.2, 0.8)
    assert meter.advice() is None
    steps(meter, clock, 49, 0.8, 0.2)
    assert meter.advice() is None
    steps(meter, clock, 1, 0.8, 0.2)
    assert meter.advice().startswith("80% of the training time")
    steps(meter, clock, 100, 0.8, 0.2)
    assert meter.advice() is None


def test_training_that_is_soon_over_is_not_advised(clock):
    meter = Waiting(50)
    steps(meter, clock, 60, 0.09, 0.01)
    assert meter.advice() is None
    steps(meter, clock, 60, 0.09, 0.01)
    assert meter.advice()


def test_every_line_has_the_share_and_a_slow_source_is_told_once(monkeypatch, clock):
    monkeypatch.setattr(data_wait, "SHORTEST_SECONDS", 0.0)
    kept = Kept(IRIS, "trainer.log_every=2")
    train, losses = kept.trainer.source.train, kept.trainer.task.losses

    def slow(actor):
        for batch in train(actor):
            clock[0] += 3
            yield batch

    def working(batch):
        clock[0] += 1
        return losses(batch)

    kept.trainer.source.train, kept.trainer.task.losses = slow, working
    kept.fit()
    assert {row["train/waiting"] for row in kept.lines.rows} == {0.75}
    assert [text.partition(":")[0] for text in kept.lines.messages if "waiting for data" in text] == ["step 8"]
