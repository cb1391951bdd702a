import json

import numpy as np
import pytest
import torch

from dlx.registry import processors, sources
from dlx.registry.signatures import check

NAMES = ["iris", "wine", "breast_cancer", "diabetes", "digits", "truth_table"]


def build(name, seed=0, **choices):
    sources.names()  # imports the folder
    values, faults = check(sources.signatures[name], choices)
    assert not faults
    return sources.build(name, values, {"seed": seed})


@pytest.mark.parametrize("name", NAMES)
def test_batches_and_facts_follow_the_glossary(name):
    data = build(name)
    facts, batch = data.facts, next(data.train(None))
    size = len(batch["input"])
    assert batch["input"].dtype == torch.float32
    assert list(batch["input"].shape[1:]) == facts["input_shape"]
    assert batch["index"].dtype == torch.int64
    assert batch["index"].shape == (size,)
    if "num_classes" in facts:
        assert batch["target"].dtype == torch.int64
        assert batch["target"].shape == (size,)
        assert len(facts["class_names"]) == len(facts["class_counts"]) == facts["num_classes"]
        assert sum(facts["class_counts"]) == data.size
    else:
        assert batch["target"].dtype == torch.float64
        assert batch["target"].shape == (size, facts["num_outputs"])
        assert len(facts["target_names"]) == len(facts["target_mean"]) == len(facts["target_std"]) == facts["num_outputs"]
    assert json.loads(json.dumps(facts)) == facts
    assert data.splits() == ["train", "val", "test"]
    assert sources.summary(name)


@pytest.mark.parametrize("name", NAMES)
def test_the_splits_do_not_depend_on_the_seed(name):
    one, other = build(name, seed=0), build(name, seed=1)
    for split in one.splits():
        for a, b in zip(one.evaluate(None, split), other.evaluate(None, split), strict=True):
            assert all(torch.equal(a[word], b[word]) for word in a)


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes"])
def test_statistics_come_from_the_training_rows_only(name):
    data, raw = build(name), build(name, standardize=False)
    train = raw.data["train"]["input"].double()
    for split in data.splits():
        wanted = (raw.data[split]["input"].double() - train.mean(0)) / train.std(0, correction=0)
        torch.testing.assert_close(data.data[split]["input"], wanted.float(), rtol=1e-4, atol=1e-4)
    offset = data.processor.state_dict()["numeric"]["scaler"]["offset"]
    np.testing.assert_allclose(offset, train.mean(0), rtol=1e-5)


def test_diabetes_is_in_its_raw_units():
    raw = build("diabetes", standardize=False).data["train"]
    assert raw["input"][:, 0].min() >= 18
    assert raw["input"][:, 0].max() < 100  # age in years
    assert raw["target"].min() >= 25
    assert raw["target"].max() <= 346


def test_iris_keeps_every_class_share():
    data = build("iris")
    assert [data.data[s]["target"].bincount().tolist() for s in ("train", "val", "test")] == [[30] * 3, [10] * 3, [10] * 3]
    assert data.facts["class_names"] == ["setosa", "versicolor", "virginica"]


def test_without_fractions_there_is_only_the_training_split():
    assert build("iris", val=0, test=0).splits() == ["train"]


def test_digits_forms_hold_the_same_pixels():
    image, row, sequence = (build("digits", form=form) for form in ("image", "row", "sequence"))
    assert (image.facts["input_shape"], row.facts["input_shape"], sequence.facts["input_shape"]) == ([1, 8, 8], [64], [8, 8])
    assert "num_features" not in image.facts
    assert (row.facts["num_features"], sequence.facts["num_features"]) == (64, 8)
    pixels = [data.data["train"]["input"].flatten() for data in (image, row, sequence)]
    assert torch.equal(pixels[0], pixels[1])
    assert torch.equal(pixels[0], pixels[2])
    assert abs(pixels[0].mean()) < 1e-6
    assert abs(pixels[0].std() - 1) < 1e-3


@pytest.mark.parametrize(
    ("function", "answers"),
    [
        ("and", [0, 0, 0, 1]),
        ("or", [0, 1, 1, 1]),
        ("xor", [0, 1, 1, 0]),
        ("nand", [1, 1, 1, 0]),
        ("nor", [1, 0, 0, 0]),
        ("not", [1, 0]),
    ],
)
def test_truth_tables(function, answers):
    data = build("truth_table", function=function)
    for split in ("train", "val", "test"):
        (batch,) = data.evaluate(None, split)
        assert batch["target"].tolist() == answers
        assert len(batch["input"].unique(dim=0)) == len(answers)
    assert data.batches_per_epoch == len(answers)


def test_a_row_written_out_is_encoded_as_in_training():
    for name, row in (("truth_table", "1,0"), ("iris", "5.1,3.5,1.4,0.2")):
        data = build(name, **({"val": 0, "test": 0} if name == "iris" else {}))
        restored = processors.get("table").from_state(json.loads(json.dumps(data.processor.state_dict())))
        encoded = restored.encode(list(restored.read([row])))["input"]
        assert (data.data["train"]["input"] == encoded).all(1).any()
