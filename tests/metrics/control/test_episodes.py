"""Numbers of episodes beside those of a policy that acts at random."""

import pytest
import torch

from dlx.errors import ComponentError
from dlx.metrics.control.episodes import EpisodeReturn, SuccessRate


def test_the_baseline_is_a_policy_that_acts_at_random():
    random = [{"episode_return": torch.tensor([1.0, 5.0])}, {"episode_return": torch.tensor([3.0])}]
    metric = EpisodeReturn(lambda: iter(random))
    better = {"episode_return": torch.tensor([9.0])}
    metric.update(better, better)
    assert metric.compute()["episode_return"] == 9
    assert metric.baseline()["episode_return"] == 3
    assert metric.baseline()["episode_return_min"] == 1
    assert SuccessRate(lambda: iter(random)).baseline() == {}


def test_an_environment_that_tells_no_success_is_told_in_words():
    with pytest.raises(ComponentError, match="'success', of which the environment tells nothing") as error:
        SuccessRate(lambda: iter(())).update({"action": torch.zeros(2)}, {})
    assert error.value.path == ("metrics",)


def test_the_mean_does_not_depend_on_the_order():
    values = torch.tensor([1e16, 1.0, -1e16, 1.0], dtype=torch.float64)
    for order in ([0, 1, 2, 3], [0, 2, 1, 3], [3, 0, 1, 2]):
        metric = EpisodeReturn(lambda: iter(()))
        metric.update({"episode_return": values[order]}, {})
        assert metric.compute()["episode_return"] == 0.5
