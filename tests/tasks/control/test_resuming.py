"""Trainings of every task that acts, stopped and resumed: all that they count and copy is in the checkpoint."""

import pytest
from tests.helpers import control
from tests.helpers.training import Kept, differing
from tests.tasks.test_golden_traces import EXPERIMENTS

from dlx import registry


def training(name):
    with registry.sources.scratch() as sources:
        control.enter(sources)
        return Kept(EXPERIMENTS[name], "trainer.evaluate_every=100")


@pytest.mark.parametrize("name", ["ppo", "dqn", "sac", "td3", "behaviour_cloning"])
def test_a_resumed_run_ends_as_one_that_never_stopped(name):
    whole = training(name).fit()
    stopped = training(name).interrupt(step=7)
    assert not differing(whole, training(name).go_on_from(stopped).fit())
