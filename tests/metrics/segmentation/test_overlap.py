"""Numbers of segmentation against scikit-learn."""

import numpy as np
import pytest
import torch
from sklearn import metrics as reference
from tests.helpers.examples.metrics import covered

from dlx import registry
from dlx.testing.common import build

FACTS = {"num_classes": 4, "class_names": ["a", "b", "c", "d"]}


def computed(name, batches):
    metric = build(registry.metrics, name, {}, FACTS)
    for prediction, batch in batches:
        metric.update(prediction, batch)
    return metric.compute()


def test_it_is_scikit_learn_s_confusion_matrix():
    true = np.concatenate([batch["target"].flatten() for _, batch in covered()])
    said = np.concatenate([prediction["label"].flatten() for prediction, _ in covered()])[true >= 0]
    true = true[true >= 0]
    present = [0, 1, 2]  # the truth has no 3, though answers say it
    assert set(true) == set(present)
    assert 3 in said
    iou = reference.jaccard_score(true, said, labels=present, average=None)
    dice = reference.f1_score(true, said, labels=present, average=None)
    found = computed("segmentation", covered())
    assert next(iter(found)) == "mean_iou"
    assert found["mean_iou"] == pytest.approx(iou.mean(), abs=1e-12)
    assert found["mean_dice"] == pytest.approx(dice.mean(), abs=1e-12)
    assert found["pixel_accuracy"] == pytest.approx(reference.accuracy_score(true, said), abs=1e-12)
    report = computed("segmentation_report", covered())
    matrix = reference.confusion_matrix(true, said, labels=[0, 1, 2, 3])
    for place, name in enumerate("abc"):
        assert report[f"iou/{name}"] == pytest.approx(iou[place], abs=1e-12)
        assert report[f"dice/{name}"] == pytest.approx(dice[place], abs=1e-12)
        assert report[f"precision/{name}"] == pytest.approx(matrix[place, place] / matrix[:, place].sum(), abs=1e-12)
        assert report[f"recall/{name}"] == pytest.approx(matrix[place, place] / matrix[place].sum(), abs=1e-12)
        assert report[f"support/{name}"] == matrix[place].sum()
    assert not [key for key in report if key.endswith("/d")]


def test_it_is_taken_over_the_set_and_not_as_a_mean_over_images():
    target = torch.tensor([[[0, 0, 0, 1]], [[1, 1, 1, 1]]])
    label = torch.tensor([[[0, 0, 0, 0]], [[1, 1, 1, 1]]])
    found = computed("segmentation", [({"label": label}, {"target": target})])
    assert found["mean_iou"] == pytest.approx((3 / 4 + 4 / 5) / 2)


def test_where_no_pixel_counts_the_number_is_not_nan():
    void = torch.full((2, 3, 3), -1)
    found = computed("segmentation", [({"label": void + 1}, {"target": void})])
    assert found == {"mean_iou": 0.0, "pixel_accuracy": 0.0, "mean_dice": 0.0}
    assert computed("segmentation_report", [({"label": void + 1}, {"target": void})]) == {}


def test_a_matrix_of_classes_leaves_out_void_too():
    metric = build(registry.metrics, "accuracy", {}, FACTS)
    metric.update({"label": torch.tensor([[[0, 1, 2]]])}, {"target": torch.tensor([[[-1, 1, 0]]])})
    assert metric.compute() == {"accuracy": 0.5}
