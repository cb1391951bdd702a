"""The largest of many are those of torch, wherever they stand."""

import pytest
import torch

from dlx.tasks.text.likeliest import BLOCK, largest, log_of_sum


@pytest.mark.parametrize("size", [1, 5, BLOCK, 11 * BLOCK, 11 * BLOCK + 1, 30 * BLOCK + 37])
@pytest.mark.parametrize("most", [1, 4, 10])
def test_they_are_those_of_topk(size, most):
    scores = torch.randn(50, size)
    scores[:, ::3] = -torch.inf
    scores[0, -1] = 9.0  # behind the last whole block
    values, places = largest(scores, most)
    wanted = scores.topk(min(most, size), -1)
    assert torch.equal(values, wanted.values)
    finite = values.isfinite()
    assert torch.equal(places[finite], wanted.indices[finite])


def test_the_sum_is_that_of_torch():
    scores = torch.randn(20, 300) * 30
    scores[:, :3] = -torch.inf
    found = log_of_sum(scores, scores.amax(-1, keepdim=True))
    torch.testing.assert_close(found, scores.logsumexp(-1, keepdim=True))
