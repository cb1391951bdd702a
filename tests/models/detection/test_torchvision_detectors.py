"""torchvision's detectors against torchvision itself: the same losses and the same boxes, and weights by name."""

import pytest
import torch
import torchvision

from dlx import registry
from dlx.errors import ComponentError
from dlx.testing.common import build, taken

FACTS = {"num_classes": 3, "input_shape": [3, 64, 96], "channel_mean": [0.5] * 3, "channel_std": [0.25] * 3}
LITE = "ssdlite320_mobilenet_v3_large"
RCNN = "fasterrcnn_mobilenet_v3_large_320_fpn"


def made(name, **choices):
    torch.manual_seed(0)
    return build(registry.models, name, choices, FACTS)


def scene():
    draw = torch.Generator().manual_seed(1)
    box = torch.tensor([[[5.0, 5, 60, 60], [50, 10, 90, 50]], [[10, 10, 40, 40], [-1, -1, -1, -1]], [[-1.0] * 4] * 2])
    label = torch.tensor([[0, 2], [1, -1], [-1, -1]])
    return {"input": torch.randn(3, 3, 64, 96, generator=draw), "box": box, "box_label": label}


def theirs(model, batch):
    """Run torchvision's own forward on the same weights: its transform neither resizes nor standardises."""
    network = model.network
    network.transform = torchvision.models.detection.transform.GeneralizedRCNNTransform(
        64, 96, [0.0] * 3, [1.0] * 3, size_divisible=1
    )
    there = batch["box_label"] >= 0
    targets = [
        {"boxes": b[t], "labels": c[t] + model.first} for b, c, t in zip(batch["box"], batch["box_label"], there, strict=True)
    ]
    return network, list(batch["input"]), targets


@pytest.mark.parametrize("name", [LITE, "retinanet_resnet50_fpn", "fcos_resnet50_fpn"])
def test_losses_and_boxes_are_torchvision_s(name):
    model, batch = made(name, score_threshold=0.01).eval(), scene()
    network, images, targets = theirs(model, taken(batch, slice(0, 2)))
    raw = model(batch["input"][:2])
    sums, weight = model.losses(raw, batch["box"][:2], batch["box_label"][:2])
    network.training = True  # itself alone: its normalisation stays as it is
    expected = network(images, targets)
    network.training = False
    names = {"classification": "loss_class", "bbox_regression": "loss_box", "bbox_ctrness": "loss_centre"}
    for key, value in expected.items():
        assert (sums[names[key]] / weight).item() == pytest.approx(value.item(), rel=1e-4)
    box, score, label = model.detect(raw)
    for row, answer in enumerate(network(images)):
        count = len(answer["boxes"])
        assert (label[row] >= 0).sum() == count
        assert torch.allclose(box[row, :count], answer["boxes"], atol=1e-4)
        assert torch.equal(label[row, :count] + model.first, answer["labels"])
        assert torch.allclose(score[row, :count], answer["scores"], atol=1e-5)


def test_a_batch_costs_what_its_parts_cost_though_one_image_is_empty():
    model, batch = made(LITE).eval(), scene()

    def cost(rows):
        some = taken(batch, rows)
        sums, weight = model.losses(model(some["input"]), some["box"], some["box_label"])
        return sum(value.item() for value in sums.values()), float(weight)

    whole, parts = cost(slice(0, 3)), [cost(slice(0, 1)), cost(slice(1, 3))]
    assert whole[0] == pytest.approx(sum(total for total, _ in parts), rel=1e-4)
    assert whole[1] == sum(weight for _, weight in parts)


def test_two_stages_learn_and_answer_in_evaluation_mode_too():
    model, batch = made(RCNN, score_threshold=0.0).eval(), scene()
    raw = model(batch["input"])
    torch.manual_seed(3)
    sums, weight = model.losses(raw, batch["box"], batch["box_label"])
    assert set(sums) == {"loss_class", "loss_box", "loss_objectness", "loss_proposal_box"}
    assert float(weight) == 3
    assert not model.network.rpn.training
    network, images, targets = theirs(model, batch)
    network.training = network.rpn.training = network.roi_heads.training = True
    torch.manual_seed(3)
    expected = network(images, targets)
    network.training = network.rpn.training = network.roi_heads.training = False
    assert (sums["loss_objectness"] / weight).item() == pytest.approx(expected["loss_objectness"].item(), rel=1e-4)
    assert (sums["loss_box"] / weight).item() == pytest.approx(expected["loss_box_reg"].item(), rel=1e-3)
    box, _, _ = model.detect(raw)
    answer = network(images)[0]["boxes"]
    assert torch.allclose(box[0, : len(answer)], answer, atol=1e-3)
    sum(sums.values()).backward()
    assert all(p.grad is not None for p in model.network.roi_heads.parameters())


@pytest.mark.parametrize(
    ("name", "backbone", "choices"),
    [
        ("ssd300_vgg16", "vgg16", {}),
        (LITE, "mobilenet_v3_large", {"reduced_tail": False}),
        (RCNN, "mobilenet_v3_large", {"norm": "frozen"}),
        ("retinanet_resnet50_fpn", "resnet50", {"freeze": "backbone"}),
    ],
)
def test_a_classifier_s_file_fills_the_backbone(name, backbone, choices, tmp_path):
    from dlx.models.detection.torchvision_networks import body

    torch.manual_seed(5)
    classifier = torchvision.models.get_model(backbone, weights=None)
    torch.save(classifier.state_dict(), tmp_path / "w.pt")
    model = made(name, weights=str(tmp_path / "w.pt"), **choices)
    given = [
        v for k, v in classifier.state_dict().items() if "num_batches" not in k and not k.startswith(("fc.", "classifier."))
    ]
    own = [v for k, v in body(name, model.network).state_dict().items() if "num_batches" not in k and k != "scale_weight"]
    assert all(torch.equal(a, b) for a, b in zip(own, given, strict=False))
    assert len(own) >= len(given) - 4
    if choices.get("freeze"):
        assert not any(p.requires_grad for p in body(name, model.network).parameters())


def test_a_detector_s_file_fills_it_but_for_other_classes(tmp_path):
    torch.manual_seed(5)
    network = torchvision.models.get_model(RCNN, weights=None, weights_backbone=None, num_classes=9)
    torch.save(network.state_dict(), tmp_path / "w.pt")
    model = made(RCNN, weights=str(tmp_path / "w.pt"))
    own, given = model.network.state_dict(), network.state_dict()
    other = [key for key, value in own.items() if value.shape != given[key].shape]
    assert (
        sorted(key.rpartition(".")[0] for key in other)
        == ["roi_heads.box_predictor.bbox_pred"] * 2 + ["roi_heads.box_predictor.cls_score"] * 2
    )
    assert all(torch.equal(value, given[key]) for key, value in own.items() if key not in other)


def test_settings_that_do_not_fit_are_told():
    with pytest.raises(ComponentError, match="would keep what chance has drawn"):
        made(RCNN, freeze="backbone")
    with pytest.raises(ComponentError, match="set reduced_tail: false"):
        made(LITE, weights="imagenet")
