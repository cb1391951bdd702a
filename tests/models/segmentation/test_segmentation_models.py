"""Models that give every pixel scores: sizes that are no powers of two, auxiliary heads, weights, freezing."""

import pytest
import torch
import torchvision

from dlx import registry
from dlx.errors import ComponentError
from dlx.testing.common import build

FACTS = {"num_classes": 4, "input_shape": [3, 37, 45], "channel_mean": [0.5] * 3, "channel_std": [0.25] * 3}
SMALL = "lraspp_mobilenet_v3_large"


def made(name, facts=FACTS, **choices):
    torch.manual_seed(0)
    return build(registry.models, name, choices, facts)


@pytest.mark.parametrize(
    ("name", "choices"), [("segmentation_unet", {}), ("segmentation_unet", {"stride": 2}), ("segmentation_resnet", {})]
)
def test_images_of_any_size_keep_it(name, choices):
    model = made(name, **choices).eval()
    for size in ((37, 45), (64, 32), (33, 40)):
        assert model(torch.randn(2, 3, *size)).shape == (2, 4, *size)


def test_an_auxiliary_head_gives_a_second_answer():
    given = made("segmentation_resnet", auxiliary=True, stride=2)(torch.randn(2, 3, 37, 45))
    assert {name: tuple(value.shape) for name, value in given.items()} == {"out": (2, 4, 37, 45), "aux": (2, 4, 37, 45)}


@pytest.mark.parametrize("name", ["segmentation_unet", "segmentation_resnet"])
def test_images_that_are_too_small_are_told(name):
    with pytest.raises(ComponentError, match="wants images of at least"):
        made(name, {**FACTS, "input_shape": [3, 4, 64]})


def saved(tmp_path, name, **choices):
    torch.manual_seed(5)
    network = torchvision.models.get_model(name, weights=None, **choices)
    file = tmp_path / "w.pt"
    torch.save(network.state_dict(), file)
    return network, str(file)


def test_a_file_of_a_classifier_fills_the_backbone(tmp_path):
    network, file = saved(tmp_path, "mobilenet_v3_large")
    model = made(SMALL, weights=file)
    own, given = model.network.backbone.state_dict(), network.features.state_dict()
    assert len(own) == len(given)
    assert all(torch.equal(own[key], value) for key, value in given.items())


def test_a_file_of_the_whole_network_keeps_its_head_where_the_classes_are_as_many(tmp_path):
    network, file = saved(tmp_path, SMALL, num_classes=4, weights_backbone=None)
    model, images = made(SMALL, weights=file).eval(), torch.randn(1, 3, 37, 45)
    statistics = images * 0.25 + 0.5
    expected = (statistics - torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)) / torch.tensor([0.229, 0.224, 0.225]).view(
        3, 1, 1
    )
    assert torch.allclose(model(images), network.eval()(expected)["out"], atol=1e-5)
    other = made(SMALL, {**FACTS, "num_classes": 7}, weights=file)
    assert torch.equal(other.network.backbone.state_dict()["0.0.weight"], network.state_dict()["backbone.0.0.weight"])


def test_a_frozen_backbone_keeps_its_statistics(tmp_path):
    _, file = saved(tmp_path, "mobilenet_v3_large")
    model = made(SMALL, weights=file, freeze="backbone").train()
    before = {key: value.clone() for key, value in model.network.backbone.state_dict().items()}
    model(torch.randn(2, 3, 37, 45)).sum().backward()
    assert all(torch.equal(value, before[key]) for key, value in model.network.backbone.state_dict().items())
    assert all(p.grad is None for p in model.network.backbone.parameters())
    with pytest.raises(ComponentError, match="give weights"):
        made(SMALL, freeze="backbone")


def test_grey_images_take_colour_weights_and_other_channels_do_not(tmp_path):
    _, file = saved(tmp_path, "mobilenet_v3_large")
    grey = {"num_classes": 4, "input_shape": [1, 32, 32], "channel_mean": [0.5], "channel_std": [0.25]}
    assert made(SMALL, grey, weights=file).eval()(torch.randn(1, 1, 32, 32)).shape == (1, 4, 32, 32)
    assert made(SMALL, {**grey, "input_shape": [2, 32, 32]}).eval()(torch.randn(1, 2, 32, 32)).shape == (1, 4, 32, 32)
    with pytest.raises(ComponentError, match="images of 1 or 3 channels"):
        made(SMALL, {**grey, "input_shape": [2, 32, 32]}, weights=file)
