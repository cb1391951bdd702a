"""Every number equals scikit-learn's, whatever the batches, and merging equals having seen all."""

import warnings

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn import metrics as reference

from dlx import registry
from dlx.errors import ComponentError


class Toy:
    """A classifier of images whose answers are whole sums of their pixels: the same in any batch."""

    name, class_names = "toy", ["a", "b", "c", "d"]

    def features(self, images):
        return images.flatten(1).cumsum(1)[:, ::3].float() / 8

    def logits(self, images):
        return self.features(images)[:, :4] / 64


FACTS = {
    "num_classes": 4,
    "class_names": ["a", "b", "c", "d"],
    "num_outputs": 2,
    "target_mean": [0.0, 0.0],
    "seed": 0,
    "input_shape": [1, 4, 4],
    "channel_mean": [0.5],
    "channel_std": [0.25],
    "training": lambda: iter([{"input": pictures(30, 5), "target": torch.arange(30) % 4}]),
    "trained": lambda path: Toy(),
}
# What a metric cannot do without.
CHOICES = {name: {"classifier": "toy"} for name in ("fid", "kid", "classifier_score")}


def build(name, facts=None, **choices):
    return registry.metrics.build(name, choices, facts or FACTS)


def pictures(size, seed):
    """Draw standardised images of 8-bit pixels."""
    return torch.randint(0, 256, (size, 1, 4, 4), generator=torch.Generator().manual_seed(seed)) / 63.75 - 2


def feed(metric, prediction, batch, size):
    """Update a metric batch by batch."""
    for start in range(0, len(batch["target"]), size):
        cut = slice(start, start + size)
        metric.update({k: v[cut] for k, v in prediction.items()}, {k: v[cut] for k, v in batch.items()})
    return metric


def compute(metric, prediction, batch, size=10_000):
    return next(iter(feed(metric, prediction, batch, size).compute().values()))


def classified(true, scores):
    logits = torch.tensor(scores, dtype=torch.float32)
    prediction = {"logits": logits, "probability": logits.softmax(-1), "label": logits.argmax(-1)}
    return prediction, {"target": torch.tensor(true)}


@st.composite
def answers(draw, classes=4):
    """Labels, of which any class may be missing, and scores with many ties."""
    size = draw(st.integers(1, 30))
    some = draw(st.lists(st.integers(0, classes - 1), min_size=1, unique=True))
    true = draw(st.lists(st.sampled_from(some), min_size=size, max_size=size))
    rows = draw(st.lists(st.lists(st.integers(-3, 3), min_size=classes, max_size=classes), min_size=size, max_size=size))
    return classified(true, rows)


@st.composite
def values(draw, outputs=2):
    size = draw(st.integers(2, 20))
    numbers = st.one_of(st.floats(-100, 100, width=32), st.sampled_from([0.1, 1e6 + 0.1]))
    row = st.lists(numbers, min_size=outputs, max_size=outputs)
    rows = [draw(st.lists(row, min_size=size, max_size=size)) for _ in range(2)]
    if draw(st.booleans()):
        rows[1] = [rows[1][0]] * size  # a constant target
    return {"value": torch.tensor(rows[0])}, {"target": torch.tensor(rows[1])}


def scikit(function, prediction, batch, **choices):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return function(batch["target"].numpy(), prediction["label"].numpy(), **choices)


@given(answers(), st.integers(1, 10))
@settings(max_examples=60)
def test_accuracies(given_, size):
    assert compute(build("accuracy"), *given_, size) == pytest.approx(scikit(reference.accuracy_score, *given_))
    assert compute(build("balanced_accuracy"), *given_, size) == pytest.approx(
        scikit(reference.balanced_accuracy_score, *given_)
    )


@pytest.mark.parametrize("average", ["macro", "micro", "weighted"])
@pytest.mark.parametrize("name", ["precision", "recall", "f1"])
@given(answers(), st.integers(1, 10))
@settings(max_examples=30)
def test_precision_recall_and_f1(name, average, given_, size):
    wanted = scikit(getattr(reference, f"{name}_score"), *given_, average=average, zero_division=0)
    assert compute(build(name, average=average), *given_, size) == pytest.approx(wanted)


@given(answers())
@settings(max_examples=30)
def test_numbers_of_every_class(given_):
    found = feed(build("f1", per_class=True), *given_, 7).compute()
    wanted = scikit(reference.f1_score, *given_, average=None, zero_division=0, labels=range(4))
    assert [found[f"f1/{name}"] for name in "abcd"] == pytest.approx(wanted.tolist())


@given(answers(), st.integers(1, 10))
@settings(max_examples=30)
def test_the_report_is_the_classification_report(given_, size):
    names = FACTS["class_names"]
    choices = {"labels": range(4), "target_names": names, "output_dict": True, "zero_division": 0}
    wanted = scikit(reference.classification_report, *given_, **choices)
    found = feed(build("report"), *given_, size).compute()
    keys = {"precision": "precision", "recall": "recall", "f1": "f1-score", "support": "support"}
    assert found == pytest.approx({f"{ours}/{name}": wanted[name][theirs] for ours, theirs in keys.items() for name in names})


@given(answers(), st.integers(1, 3), st.integers(1, 10))
@settings(max_examples=60)
def test_top_k(given_, k, size):
    prediction, batch = given_
    wanted = reference.top_k_accuracy_score(batch["target"].numpy(), prediction["logits"].numpy(), k=k, labels=range(4))
    assert compute(build("top_k", k=k), *given_, size) == pytest.approx(wanted)


@given(answers(), st.integers(1, 10))
@settings(max_examples=60)
def test_area_under_the_curve_is_the_mean_over_the_classes_that_occur(given_, size):
    prediction, batch = given_
    true, scores = batch["target"].numpy(), prediction["probability"].numpy()
    present = [c for c in range(4) if 0 < (true == c).sum() < len(true)]
    found = compute(build("roc_auc"), *given_, size)
    if not present:
        assert np.isnan(found)
        return
    assert found == pytest.approx(np.mean([reference.roc_auc_score(true == c, scores[:, c]) for c in present]))
    if len(present) == 4:
        assert found == pytest.approx(reference.roc_auc_score(true, scores, multi_class="ovr"))


@given(answers(classes=2), st.integers(1, 10))
@settings(max_examples=40)
def test_area_under_the_curve_of_two_classes(given_, size):
    prediction, batch = given_
    if len(set(batch["target"].tolist())) < 2:
        return
    wanted = reference.roc_auc_score(batch["target"].numpy(), prediction["probability"][:, 1].numpy())
    assert compute(build("roc_auc", {**FACTS, "num_classes": 2}), *given_, size) == pytest.approx(wanted)


@given(values(), st.integers(1, 10))
@settings(max_examples=100)
def test_errors(given_, size):
    prediction, batch = given_
    true, answer = batch["target"].double().numpy(), prediction["value"].double().numpy()
    for name, function in {
        "mae": reference.mean_absolute_error,
        "mse": reference.mean_squared_error,
        "rmse": reference.root_mean_squared_error,
    }.items():
        assert compute(build(name), *given_, size) == pytest.approx(function(true, answer), rel=1e-9, abs=1e-12)
    wanted = reference.r2_score(true - true[0], answer - true[0])  # its own mean of equal numbers is not always that number
    assert compute(build("r2"), *given_, size) == pytest.approx(wanted, rel=1e-6, abs=1e-6)


def test_r2_of_large_targets_keeps_its_digits():
    true = torch.tensor([[1e6 + i / 8] for i in range(50)])
    answer = true + torch.tensor([[(-1) ** i / 4] for i in range(50)])
    found = compute(build("r2", {**FACTS, "num_outputs": 1}), {"value": answer}, {"target": true}, 7)
    assert found == pytest.approx(reference.r2_score(true.double(), answer.double()), rel=1e-9)


def example(facts=FACTS, size=23):
    generator = torch.Generator().manual_seed(1)
    logits = torch.randn(size, facts["num_classes"], generator=generator)
    values = torch.randn(size, facts["num_outputs"], generator=generator)
    prediction = {"logits": logits, "probability": logits.softmax(-1), "label": logits.argmax(-1), "value": values}
    prediction["image"] = torch.randint(0, 256, (size, 1, 4, 4), generator=generator, dtype=torch.uint8)
    kinds = {
        "label": torch.randint(facts["num_classes"], (size,), generator=generator),
        "value": torch.randn(size, facts["num_outputs"], generator=generator),
    }
    return prediction, kinds


@pytest.mark.parametrize("name", registry.metrics.names())
def test_every_metric_keeps_the_contract(name):
    prediction, kinds = example()
    try:
        metrics = [build(name, **CHOICES.get(name, {})) for _ in range(5)]
    except ComponentError as error:
        pytest.skip(f"these facts are not enough: {error}")
    if not type(metrics[0]).reads <= prediction.keys():
        pytest.skip(f"reads {set(type(metrics[0]).reads) - prediction.keys()}")
    batch = {"target": kinds["value" if "value" in metrics[0].reads else "label"], "input": pictures(23, 3)}
    whole, single, seven, first, second = metrics
    feed(whole, prediction, batch, 1000)
    wanted = whole.compute()
    assert all(isinstance(value, float) and np.isfinite(value) for value in wanted.values())
    assert wanted == whole.compute(), "computing changes nothing"
    assert feed(single, prediction, batch, 1).compute() == pytest.approx(wanted, rel=1e-9)
    assert feed(seven, prediction, batch, 7).compute() == pytest.approx(wanted, rel=1e-9)
    for part, cut in ((first, slice(9)), (second, slice(9, None))):
        feed(part, {k: v[cut] for k, v in prediction.items()}, {k: v[cut] for k, v in batch.items()}, 4)
    first.merge(second)
    assert first.compute() == pytest.approx(wanted, rel=1e-9)
    empty = build(name, **CHOICES.get(name, {}))
    first.merge(empty)
    assert first.compute() == pytest.approx(wanted, rel=1e-9)
    assert whole.baseline().keys() <= wanted.keys()
    for picture in whole.pictures().values():
        assert hasattr(picture, "savefig")
