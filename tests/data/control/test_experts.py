"""Scripted policies solve their environments, through whatever frames are seen behind each other."""

import math

import pytest

from dlx.assembly import planner, policy
from dlx.errors import ComponentError


@pytest.mark.parametrize(
    ("environment", "least", "settings"),
    [
        ("CartPole-v1", 100, {"frame_stack": 2, "settings": {"max_episode_steps": 100}}),
        ("Pendulum-v1", -400, {}),
        ("MountainCar-v0", -180, {}),
        ("MountainCarContinuous-v0", 80, {}),
    ],
)
def test_they_solve_their_environments(environment, least, settings):
    source = planner.source_of({"name": "rollouts", "environment": environment, **settings})
    assert min(math.fsum(one.rewards) for one in source.play(policy.scripted(source), 4, 0)) >= least


def test_who_acts_in_highway_goes_straight_on_where_actions_are_discrete():
    pytest.importorskip("highway_env", reason="needs highway-env")
    source = planner.source_of({"name": "rollouts", "environment": "highway-fast-v0"})
    (played,) = source.play(policy.scripted(source), 1, 0)
    assert set(played.actions.tolist()) == {1}
    continuous = {"config": {"action": {"type": "ContinuousAction"}}}
    with pytest.raises(ComponentError, match="no scripted policy"):
        policy.scripted(planner.source_of({"name": "rollouts", "environment": "highway-fast-v0", "settings": continuous}))


def test_where_there_is_none_it_is_told():
    with pytest.raises(ComponentError, match="no scripted policy; give a run"):
        policy.scripted(planner.source_of({"name": "rollouts", "environment": "dlx/Line-v0"}))
