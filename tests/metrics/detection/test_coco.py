"""Average precision against pycocotools, in the coordinates of the original images."""

import builtins
import contextlib
import io

import numpy as np
import pytest
import torch
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tests.helpers.examples.metrics import boxed

from dlx import registry
from dlx.errors import ComponentError
from dlx.testing.common import build

FACTS = {"num_classes": 4, "class_names": ["a", "b", "c", "nowhere"]}
NAMES = ("ap", "ap50", "ap75", "ap_small", "ap_medium", "ap_large")


def computed(name, batches):
    metric = build(registry.metrics, name, {}, FACTS)
    for prediction, batch in batches:
        metric.update(prediction, batch)
    return metric


def reference(batches):
    """Run pycocotools on the boxes of a split."""
    images, annotations, results = [], [], []
    for prediction, batch in batches:
        for row in range(len(batch["box"])):
            images.append({"id": len(images) + 1})
            (left, top, width, height), (w, h) = batch["place"][row].double(), batch["size"][row].double()
            offset, scale = torch.stack([left, top, left, top]), torch.stack([w / width, h / height] * 2)
            for words, kept in ((batch, annotations), (prediction, results)):
                for n in range(words["box"].shape[1]):
                    if words["box_label"][row, n] < 0:
                        continue
                    x1, y1, x2, y2 = ((words["box"][row, n].double() - offset) * scale).tolist()
                    entry = {"image_id": len(images), "category_id": int(words["box_label"][row, n]) + 1}
                    entry |= {"bbox": [x1, y1, x2 - x1, y2 - y1], "area": (x2 - x1) * (y2 - y1)}
                    if words is batch:
                        entry |= {"id": len(annotations) + 1, "iscrowd": int(batch["crowd"][row, n])}
                    else:
                        entry |= {"score": float(prediction["box_score"][row, n])}
                    kept.append(entry)
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {"images": images, "annotations": annotations, "categories": [{"id": n + 1} for n in range(4)]}
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "bbox")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    return evaluation


def test_the_numbers_are_pycocotools():
    expected, found = reference(boxed()).stats, computed("coco_ap", boxed()).compute()
    assert next(iter(found)) == "ap"
    assert 0.1 < found["ap"] < 0.9
    for place, name in enumerate(NAMES):
        assert found[name] == pytest.approx(expected[place], abs=1e-6)
    assert found["average_recall"] == pytest.approx(expected[8], abs=1e-6)


def test_the_numbers_of_classes_are_pycocotools():
    precision, found = reference(boxed()).eval["precision"][:, :, :, 0, -1], computed("coco_ap_report", boxed()).compute()
    for place, name in enumerate("abc"):
        assert found[f"ap/{name}"] == pytest.approx(precision[:, :, place].mean(), abs=1e-6)
        assert found[f"ap50/{name}"] == pytest.approx(precision[0, :, place].mean(), abs=1e-6)
        assert found[f"ap75/{name}"] == pytest.approx(precision[5, :, place].mean(), abs=1e-6)
    total = sum(int((batch["box_label"].masked_fill(batch["crowd"], -1) >= 0).sum()) for _, batch in boxed())
    assert sum(value for key, value in found.items() if key.startswith("support/")) == total
    assert not [key for key in found if key.endswith("nowhere")]


def test_curves_are_drawn_of_every_class_there_is():
    (name, picture), *_ = computed("coco_ap_report", boxed()).pictures().items()
    assert name == "precision_recall"
    assert [line.get_label()[0] for line in picture.axes[0].lines] == ["a", "b", "c"]


def test_neither_an_empty_truth_nor_an_empty_answer_is_nan():
    nothing = {"box": torch.zeros(2, 0, 4), "box_score": torch.zeros(2, 0), "box_label": torch.zeros(2, 0, dtype=torch.int64)}
    one = {"box": torch.tensor([[[1.0, 1, 9, 9]]] * 2), "box_label": torch.tensor([[0], [-1]])}
    found = {**one, "box_score": torch.ones(2, 1)}
    empty = {key: nothing[key] for key in ("box", "box_label")}
    for prediction, batch in ((nothing, empty), (found, empty), (nothing, one)):
        numbers = computed("coco_ap", [(prediction, batch)]).compute()
        assert numbers["ap"] == 0.0
        assert np.isfinite([*numbers.values()]).all()
    assert computed("coco_ap", [(found, one)]).compute()["ap"] == pytest.approx(1.0)
    assert computed("coco_ap_report", [(nothing, empty)]).compute() == {}


def test_the_missing_library_is_told(monkeypatch):
    whole = builtins.__import__

    def without(name, *arguments, **choices):
        if name == "faster_coco_eval":
            raise ImportError
        return whole(name, *arguments, **choices)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(ComponentError, match="needs the extra 'detection'"):
        build(registry.metrics, "coco_ap", {}, FACTS)
