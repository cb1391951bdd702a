"""The confusion of boxes against a plain loop over all pairs, and what lies on crowds and on nothing."""

import numpy as np
import torch
from tests.helpers.examples.metrics import boxed
from torchvision.ops import box_iou

from dlx import registry
from dlx.testing.common import build

FACTS = {"num_classes": 4, "class_names": ["a", "b", "c", "nowhere"]}


def computed(batches, **choices):
    metric = build(registry.metrics, "box_confusion", choices, FACTS)
    for prediction, batch in batches:
        metric.update(prediction, batch)
    return metric


def counted(true, true_label, found, found_label, least):
    counts = np.zeros((5, 5), int)
    iou = box_iou(true, found)
    left, free = set(range(len(true))), set(range(len(found)))
    while left and free:
        best, one, other = max((float(iou[m, n]), m, n) for m in left for n in free)
        if best < least:
            break
        counts[true_label[one], found_label[other]] += 1
        left.remove(one)
        free.remove(other)
    for one in left:
        counts[true_label[one], 4] += 1
    for other in free:
        counts[4, found_label[other]] += 1
    return counts


def test_it_is_the_largest_overlaps_one_by_one():
    batches, expected = boxed(), np.zeros((5, 5), int)
    for prediction, batch in batches:
        batch.pop("crowd")
        for row in range(len(batch["box"])):
            there = batch["box_label"][row] >= 0
            sure = (prediction["box_label"][row] >= 0) & (prediction["box_score"][row] >= 0.4)
            true, found = batch["box"][row][there].double(), prediction["box"][row][sure].double()
            expected += counted(true, batch["box_label"][row][there], found, prediction["box_label"][row][sure], 0.4)
    counts = computed(batches, score=0.4, iou=0.4).counts
    assert np.array_equal(counts, expected)
    assert counts[:3, :3].any()
    assert counts[4, :4].any()
    assert counts[:4, 4].any()
    assert counts[4, 4] == 0
    numbers, right = computed(batches, score=0.4, iou=0.4).compute(), np.trace(expected)
    assert numbers == {"box_precision": right / expected[:, :4].sum(), "box_recall": right / expected[:4].sum()}


def test_a_class_a_miss_and_nothing_and_a_crowd_each_have_their_place():
    boxes = torch.tensor([[[0.0, 0, 10, 10], [20, 20, 30, 30], [40, 40, 80, 80], [-1, -1, -1, -1]]])
    truth = {"box": boxes, "box_label": torch.tensor([[0, 1, 2, -1]]), "crowd": torch.tensor([[False, False, True, False]])}
    found = torch.tensor([[[0.0, 0, 10, 9], [60, 0, 70, 10], [50, 50, 60, 60], [20, 20, 30, 30]]])
    scores = torch.tensor([[0.9, 0.8, 0.7, 0.1]])
    counts = computed([({"box": found, "box_score": scores, "box_label": torch.tensor([[1, 2, 2, 1]])}, truth)]).counts
    assert {tuple(place): int(counts[tuple(place)]) for place in np.argwhere(counts).tolist()} == {
        (0, 1): 1,  # found, of another class
        (1, 4): 1,  # not sure enough
        (4, 2): 1,  # on nothing; what lies on the crowd is not counted
    }


def test_it_is_drawn_with_the_background_and_without_any_box():
    nothing = {"box": torch.zeros(2, 0, 4), "box_score": torch.zeros(2, 0), "box_label": torch.zeros(2, 0, dtype=torch.int64)}
    metric = computed([(nothing, {key: nothing[key] for key in ("box", "box_label")})])
    assert not metric.counts.any()
    (picture,) = metric.pictures().values()
    assert [label.get_text() for label in picture.axes[0].get_xticklabels()][-1] == "background"
