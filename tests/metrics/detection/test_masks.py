"""Average precision of masks against pycocotools, in pixels of the original images."""

import contextlib
import io

import numpy as np
import pytest
import torch
from pycocotools import mask as runs
from pycocotools.coco import COCO
from pycocotools.cocoeval import COCOeval
from tests.helpers.examples.metrics import outlined

from dlx import registry
from dlx.metrics.detection.masks import original
from dlx.testing.common import build

FACTS = {"num_classes": 3, "class_names": ["a", "b", "c"]}


def test_the_numbers_are_pycocotools():
    metric = build(registry.metrics, "coco_mask_ap", {}, FACTS)
    images, annotations, results = [], [], []
    for prediction, batch in outlined():
        metric.update(prediction, batch)
        for row, labels in enumerate(batch["box_label"].tolist()):
            images.append({"id": len(images) + 1, "height": 60, "width": 80})
            for n, label in enumerate(labels):
                if label < 0:
                    continue
                for words, kept in ((batch, annotations), (prediction, results)):
                    # The original lies in rows 5 to 35, and is twice as large.
                    whole = words["mask"][row, n, 5:35].numpy().repeat(2, 0).repeat(2, 1)
                    packed = runs.encode(np.asfortranarray(whole.astype(np.uint8)))
                    entry = {
                        "image_id": len(images),
                        "category_id": label + 1,
                        "segmentation": packed,
                        "area": float(runs.area(packed)),
                    }
                    entry |= {
                        "id": len(kept) + 1,
                        "area": float(runs.area(packed)),
                        "iscrowd": 0,
                        "bbox": runs.toBbox(packed).tolist(),
                    }
                    kept.append(entry | ({"score": float(prediction["box_score"][row, n])} if words is prediction else {}))
    with contextlib.redirect_stdout(io.StringIO()):
        truth = COCO()
        truth.dataset = {"images": images, "annotations": annotations, "categories": [{"id": n + 1} for n in range(3)]}
        truth.createIndex()
        evaluation = COCOeval(truth, truth.loadRes(results), "segm")
        evaluation.evaluate()
        evaluation.accumulate()
        evaluation.summarize()
    found = metric.compute()
    assert 0.1 < found["mask_ap"] < 0.99
    for place, name in enumerate(("mask_ap", "mask_ap50", "mask_ap75", "mask_ap_small", "mask_ap_medium")):
        assert found[name] == pytest.approx(evaluation.stats[place], abs=1e-6)


def test_what_a_crop_left_out_is_no_object():
    mask = torch.ones(4, 4, dtype=torch.bool)
    assert original(mask, [-2.0, 0, 8, 4], [8, 4]).sum(0).tolist() == [0, 0, 4, 4, 4, 4, 0, 0]


def test_no_true_object_is_not_nan():
    metric = build(registry.metrics, "coco_mask_ap", {}, FACTS)
    nothing = {"mask": torch.zeros(1, 0, 4, 4, dtype=torch.bool), "box_label": torch.zeros(1, 0, dtype=torch.int64)}
    metric.update({**nothing, "box_score": torch.zeros(1, 0)}, nothing)
    assert metric.compute()["mask_ap"] == 0.0
