"""The detector's geometry, its assignment of places, and what it keeps."""

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torchvision.ops import box_iou

from dlx import registry
from dlx.errors import ComponentError
from dlx.models.detection.assignment import assign
from dlx.models.detection.center_detector import places
from dlx.models.detection.geometry import Selection, pairwise_iou, select, stacked
from dlx.testing.common import build

FACTS = {"num_classes": 3, "input_shape": [3, 40, 56]}
SMALL = {"widths": [8, 8, 8], "pyramid": 8, "stride": 4}


def made(facts=FACTS, **choices):
    torch.manual_seed(0)
    return build(registry.models, "center_detector", SMALL | choices, facts)


def test_places_are_the_middles_of_cells():
    point, stride = places([(2, 3), (1, 2)], [4, 8], "cpu")
    assert point.tolist() == [[2, 2], [6, 2], [10, 2], [2, 6], [6, 6], [10, 6], [4, 4], [12, 4]]
    assert stride[:, 0].tolist() == [4] * 6 + [8] * 2


def test_every_place_of_every_level_tells_a_box():
    raw = made()(torch.randn(2, 3, 40, 56))
    assert raw["logits"].shape == (2, 10 * 14 + 5 * 7 + 3 * 4, 3)
    assert (raw["box"][..., 2:] > raw["box"][..., :2]).all()


@settings(deadline=None, max_examples=30)
@given(st.integers(0, 1000))
def test_overlaps_are_torchvision_s(seed):
    draw = torch.Generator().manual_seed(seed)
    one, other = (torch.rand(2, n, 4, generator=draw) * 10 for n in (3, 5))
    one[..., 2:] += one[..., :2]
    other[..., 2:] += other[..., :2]
    for row in range(2):
        assert torch.allclose(pairwise_iou(one, other)[row], box_iou(one[row], other[row]), atol=1e-6)


def answers(boxes, scores):
    return torch.tensor(scores)[None], torch.tensor(boxes, dtype=torch.float32)[None]


def test_a_box_is_given_to_the_places_within_it_that_answer_it_best():
    point = torch.tensor([[2.0, 2], [6, 2], [30, 30]])
    score, found = answers([[0, 0, 8, 8], [0, 0, 4, 4], [0, 0, 8, 8]], [[0.5, 0.1], [0.5, 0.1], [0.9, 0.1]])
    wanted = assign(score, found, point, 4, torch.tensor([[[0.0, 0, 8, 8], [-1, -1, -1, -1]]]), torch.tensor([[0, -1]]))
    assert wanted.taken.tolist() == [[True, True, False]]  # the third answers it wholly, from outside
    assert wanted.quality[0, 0] == pytest.approx(1.0)
    assert wanted.quality[0, 1] < 0.01
    assert wanted.label[0, 0] == 0
    assert wanted.box[0, 0].tolist() == [0, 0, 8, 8]


def test_a_place_answers_for_the_box_it_overlaps_most():
    score, found = answers([[0, 0, 7, 8]], [[0.5, 0.5]])
    boxes = torch.tensor([[[0.0, 0, 4, 8], [0, 0, 8, 8]]])
    wanted = assign(score, found, torch.tensor([[2.0, 2]]), 4, boxes, torch.tensor([[0, 1]]))
    assert (wanted.label.item(), wanted.quality.item()) == (1, pytest.approx(7 / 8))


def test_a_box_between_all_points_still_has_a_place():
    point, _ = places([(4, 4)], [4], "cpu")
    found = torch.cat((point - 4, point + 4), 1)[None]
    wanted = assign(
        torch.full((1, 16, 1), 0.1), found, point, 4.04, torch.tensor([[[3.9, 3.9, 4.1, 4.1]]]), torch.tensor([[0]])
    )
    assert wanted.taken.any()


def test_images_without_boxes_work_one_or_all():
    model = made()
    for boxes in (torch.zeros(2, 0, 4), torch.full((2, 3, 4), -1.0)):
        label = torch.full(boxes.shape[:2], -1)
        sums, matched = model.losses(model(torch.randn(2, 3, 40, 56)), boxes, label)
        assert float(sums["loss_box"].detach()) == 0
        assert float(matched) == 2
        sums["loss_class"].backward()


def test_what_overlaps_a_surer_box_of_its_class_is_left_out():
    box = torch.tensor([[0.0, 0, 10, 10], [1, 0, 11, 10], [30, 30, 40, 40]])
    score = torch.tensor([[0.8, 0.3], [0.9, 0.0], [0.01, 0.0]])
    kept, sure, label = select(box, score, Selection())
    assert sure.tolist() == pytest.approx([0.9, 0.3])
    assert label.tolist() == [0, 1]
    assert kept[0].tolist() == [1, 0, 11, 10]
    assert len(select(box, score, Selection(max_boxes=1))[0]) == 1
    both = stacked([select(box, score, Selection()), select(box, score * 0, Selection())])
    assert both[2].tolist() == [[0, 1], [-1, -1]]
    assert both[0][1].tolist() == [[-1] * 4] * 2


def test_boxes_stay_within_the_image():
    model = made(score_threshold=0.0).eval()
    box, _, label = model.detect(model(torch.randn(2, 3, 40, 56)))
    inside = box[label >= 0]
    assert len(inside)
    assert (inside >= 0).all()
    assert (inside <= torch.tensor([56, 40, 56, 40])).all()


def test_settings_that_do_not_fit_are_told():
    with pytest.raises(ComponentError, match="only 3 widths"):
        made(levels=4)
    with pytest.raises(ComponentError, match="images of at least 16x16"):
        made({**FACTS, "input_shape": [3, 8, 40]})
