"""The calibration error is that of Guo et al. 2017, whatever the batches."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlx import registry


def reference(probability, target, bins=15):
    """Compute the error as the authors' code does: bins open below, closed above."""
    confidence, label = probability.max(1), probability.argmax(1)
    error = 0.0
    for low, high in zip(np.linspace(0, 1, bins + 1)[:-1], np.linspace(0, 1, bins + 1)[1:], strict=True):
        inside = (confidence > low) & (confidence <= high)
        if inside.any():
            error += inside.mean() * abs((label == target)[inside].mean() - confidence[inside].mean())
    return error


def answered(probability, target):
    words = torch.tensor(probability)
    return {"probability": words, "label": words.argmax(-1)}, {"target": torch.tensor(target)}


def feed(metric, prediction, batch, size):
    for start in range(0, len(batch["target"]), size):
        cut = slice(start, start + size)
        metric.update({k: v[cut] for k, v in prediction.items()}, {k: v[cut] for k, v in batch.items()})
    return metric


def build():
    return registry.metrics.build("calibration_error", {}, {})


@st.composite
def answers(draw):
    """Probabilities of three classes, many of them on the edge of a bin."""
    size = draw(st.integers(1, 40))
    first = st.one_of(st.floats(0, 1), st.integers(0, 15).map(lambda k: k / 15))
    rows = []
    for p in draw(st.lists(first, min_size=size, max_size=size)):
        share = draw(st.sampled_from([0.0, 0.5, 1.0]))
        rows.append([p, (1 - p) * share, (1 - p) * (1 - share)])
    target = draw(st.lists(st.integers(0, 2), min_size=size, max_size=size))
    return np.array(rows), np.array(target)


@given(answers(), st.integers(1, 10))
@settings(max_examples=100)
def test_it_is_the_reference_for_any_batch_size(given_, size):
    probability, target = given_
    found = feed(build(), *answered(probability, target), size).compute()
    assert found == {"calibration_error": pytest.approx(reference(probability, target), abs=1e-12)}


@given(answers(), st.integers(0, 40))
@settings(max_examples=30)
def test_merging_equals_having_seen_all(given_, cut):
    probability, target = given_
    first, second = build(), build()
    feed(first, *answered(probability[:cut], target[:cut]), 7)
    feed(second, *answered(probability[cut:], target[cut:]), 7)
    first.merge(second)
    assert first.compute()["calibration_error"] == pytest.approx(reference(probability, target), abs=1e-12)


def test_who_is_right_as_often_as_it_says_has_no_error():
    probability, target = np.tile([0.75, 0.25], (4, 1)), np.array([0, 0, 0, 1])
    metric = feed(build(), *answered(probability, target), 3)
    assert metric.compute() == {"calibration_error": 0.0}
    assert not metric.higher_is_better


def test_the_picture_is_drawn_once_there_is_something_to_see(tmp_path):
    assert build().compute() == {"calibration_error": 0.0}
    assert not build().pictures()
    metric = feed(build(), *answered(np.array([[1.0, 0.0], [0.4, 0.6]]), np.array([0, 0])), 2)
    metric.pictures()["reliability"].savefig(tmp_path / "reliability.png")
    assert (tmp_path / "reliability.png").stat().st_size > 1000
