import pytest
import torch

from dlx.errors import ComponentError
from dlx.models.image.fast_cnn import Whitening
from dlx.registry import models
from dlx.registry.signatures import check

SMALL = ["fast_cnn", "resnet18_small", "resnet20", "resnet56", "simple_cnn", "vgg16_bn_small", "wide_resnet"]
SIZES = {  # millions of parameters with 10 classes, as their papers and repositories give them
    ("resnet20", ()): 0.27, ("resnet32", ()): 0.46, ("resnet44", ()): 0.66, ("resnet56", ()): 0.85, ("resnet110", ()): 1.7,
    ("resnet18_small", ()): 11.17, ("vgg16_bn_small", ()): 14.73, ("fast_cnn", ()): 1.97,
    ("wide_resnet", (("depth", 16), ("widen", 4))): 2.75, ("wide_resnet", (("depth", 28), ("widen", 10))): 36.5,
}  # fmt: skip


def build(name, shape, **choices):
    models.names()
    values, faults = check(models.signatures[name], choices)
    assert faults == []
    return models.build(name, values, {"num_classes": 10, "input_shape": shape})


@pytest.mark.parametrize("shape", [[3, 32, 32], [1, 28, 28], [2, 9, 13]])
@pytest.mark.parametrize("name", SMALL)
def test_images_to_logits(name, shape):
    torch.manual_seed(0)
    model = build(name, shape)
    output = model(torch.randn(4, *shape).to(memory_format=torch.channels_last))
    assert output.shape == (4, 10)
    torch.nn.functional.cross_entropy(output, torch.arange(4)).backward()
    assert all(p.grad is not None and p.grad.isfinite().all() for p in model.parameters() if p.requires_grad)
    again = build(name, shape)
    again.load_state_dict(model.state_dict())
    images = torch.randn(3, *shape)
    assert torch.equal(model.eval()(images), again.eval()(images))


@pytest.mark.parametrize(("name", "choices"), SIZES, ids=str)
def test_sizes(name, choices):
    with torch.device("meta"):
        model = build(name, [3, 32, 32], **dict(choices))
    assert sum(p.numel() for p in model.parameters()) / 1e6 == pytest.approx(SIZES[name, choices], rel=0.02)


def test_digits_of_8x8_suit_the_simple_ones():
    assert build("simple_cnn", [1, 8, 8])(torch.randn(2, 1, 8, 8)).shape == (2, 10)
    with pytest.raises(ComponentError, match="too often"):
        build("simple_cnn", [1, 8, 8], channels=[8, 8, 8, 8])
    with pytest.raises(ComponentError, match="at least 9x9"):
        build("fast_cnn", [1, 8, 8])


def test_rows_are_no_images():
    for name in SMALL:
        with pytest.raises(ComponentError, match="image"):
            build(name, [4])


def test_whitening_makes_patches_uncorrelated_and_is_kept():
    torch.manual_seed(0)
    module = Whitening(3, epsilon=0.0)
    smooth = torch.nn.functional.avg_pool2d(torch.randn(64, 3, 18, 18), 3, 1)
    assert module.eval()(smooth).shape == (64, 24, 15, 15)
    assert not module.fitted, "evaluation fits nothing"
    output = module.train()(smooth)[:, :12].detach().transpose(0, 1).flatten(1)
    torch.testing.assert_close(output @ output.T / output.shape[1], torch.eye(12), rtol=1e-3, atol=1e-3)
    weight = module.weight.clone()
    module(torch.randn_like(smooth))
    again = Whitening(3)
    again.load_state_dict(module.state_dict())
    again.train()(torch.randn_like(smooth))
    assert torch.equal(again.weight, weight)


def test_whitening_of_nearly_equal_pixels_in_bfloat16():
    torch.manual_seed(0)
    smooth = torch.randn(32, 3, 1, 1) + 0.02 * torch.randn(32, 3, 16, 16)
    modules = [Whitening(3), Whitening(3)]
    modules[0](smooth)
    with torch.autocast("cpu", torch.bfloat16):
        assert modules[1](smooth).isfinite().all()
    assert torch.equal(modules[0].weight, modules[1].weight)


def test_whitening_keeps_small_differences_in_bfloat16():
    torch.manual_seed(0)
    images = 1 + 0.01 * torch.randn(8, 3, 12, 12)
    module = Whitening(3)
    exact = module(images)
    with torch.autocast("cpu", torch.bfloat16):
        assert torch.equal(module(images), exact)
