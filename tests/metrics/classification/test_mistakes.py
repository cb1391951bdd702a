"""The page of mistakes holds those that the answer was surest of, in the images' own colours."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from dlx import registry
from dlx.errors import ComponentError
from dlx.pictures.figures import pixels

FACTS = {"class_names": ["cat", "dog $x$"], "channel_mean": [0.4, 0.5, 0.6], "channel_std": [0.2, 0.25, 0.3]}


def build(**choices):
    return registry.metrics.build("mistakes", choices, FACTS)


def answered(confidences, targets):
    """Answer the first class with these probabilities; the images carry their number."""
    first = torch.tensor(confidences)
    prediction = {"probability": torch.stack((first, 1 - first), 1), "label": torch.zeros(len(first), dtype=torch.int64)}
    images = torch.arange(len(first)).float().view(-1, 1, 1, 1).expand(-1, 3, 2, 2)
    return prediction, {"target": torch.tensor(targets), "input": images}


def feed(metric, prediction, batch, size, start=0, stop=None):
    stop = len(batch["target"]) if stop is None else stop
    for first in range(start, stop, size):
        cut = slice(first, min(first + size, stop))
        metric.update({k: v[cut] for k, v in prediction.items()}, {k: v[cut] for k, v in batch.items()})
    return metric


def numbers(metric):
    return metric.kept["input"][:, 0, 0, 0].int().tolist() if metric.kept else []


SAMPLES = st.lists(st.tuples(st.sampled_from([0.5, 0.6, 0.7, 0.99]), st.integers(0, 1)), min_size=1, max_size=30)


@given(SAMPLES, st.integers(1, 9), st.integers(0, 30))
@settings(max_examples=60)
def test_the_surest_mistakes_are_kept_for_any_batch_size(samples, size, cut):
    confidences, targets = (list(values) for values in zip(*samples, strict=True))
    words = answered(confidences, targets)
    wanted = sorted((i for i, t in enumerate(targets) if t), key=lambda i: -confidences[i])[:4]
    assert numbers(feed(build(most=4), *words, size)) == wanted
    cut = min(cut, len(samples))
    first, second = feed(build(most=4), *words, size, 0, cut), feed(build(most=4), *words, size, cut)
    first.merge(second)
    assert numbers(first) == wanted


def test_the_page_is_drawn(tmp_path):
    metric = feed(build(), *answered([0.9] * 30, [1] * 30), 8)
    assert len(metric.kept["label"]) == 24
    assert metric.compute() == {}
    metric.pictures()["mistakes"].savefig(tmp_path / "mistakes.png")
    assert (tmp_path / "mistakes.png").stat().st_size > 1000


def test_without_mistakes_or_images_there_is_no_page():
    assert not build().pictures()
    assert not feed(build(), *answered([0.9], [0]), 1).pictures()
    prediction, batch = answered([0.9], [1])
    metric = build()
    metric.update(prediction, {"target": batch["target"], "features": torch.zeros(1, 5)})
    assert not metric.pictures()


def test_a_table_has_no_images():
    with pytest.raises(ComponentError, match="channel_mean"):
        registry.metrics.build("mistakes", {}, {"class_names": ["a", "b"]}, "the data")


@pytest.mark.parametrize("channels", [1, 3])
def test_pixels_are_those_before_standardisation(channels):
    seen = np.random.default_rng(0).random((2, channels, 4, 5))
    mean, std = FACTS["channel_mean"][:channels], FACTS["channel_std"][:channels]
    standardised = (seen - np.reshape(mean, (-1, 1, 1))) / np.reshape(std, (-1, 1, 1))
    found = pixels(standardised, mean, std)
    assert found.shape == (2, 4, 5, 3)
    assert np.allclose(found, seen.transpose(0, 2, 3, 1))
