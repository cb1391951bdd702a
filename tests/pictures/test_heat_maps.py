"""Grad-CAM equals its formula, finds the stage in every kind of network, and leaves the model as it was."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlx import registry
from dlx.errors import UsageError
from dlx.pictures.heat_maps import heat_maps, last_maps

FACTS = {
    "num_classes": 3, "input_shape": [3, 32, 32], "in_channels": 3, "seed": 0,
    "channel_mean": [0.5] * 3, "channel_std": [0.2] * 3,
}  # fmt: skip


def images(size=2, side=32):
    return torch.randn(size, 3, side, side, generator=torch.Generator().manual_seed(0))


class Small(nn.Module):
    """Two convolutions, of which the second one's maps are the stage; `after` may work in place."""

    def __init__(self, outputs=3, after=None):
        super().__init__()
        torch.manual_seed(1)
        self.first, self.second = nn.Conv2d(3, 4, 3, padding=1), nn.Conv2d(4, 6, 3, stride=2, padding=1)
        self.after, self.head = after or F.softplus, nn.Linear(6, outputs)

    def forward(self, input):
        return self.head(self.after(self.second(F.relu(self.first(input)))).mean((2, 3)))


def by_hand(model, input):
    """Compute Grad-CAM image by image, as the paper writes it."""
    found = []
    for image in input:
        maps = model.second(F.relu(model.first(image[None]))).detach().requires_grad_()
        logits = model.head(model.after(maps + 0).mean((2, 3)))[0]
        score = logits.max() if len(logits) > 1 else logits[0] * logits[0].sign()
        (gradient,) = torch.autograd.grad(score, maps)
        heat = F.relu(sum(g.mean() * m for g, m in zip(gradient[0], maps[0].detach(), strict=True)))
        heat = F.interpolate(heat[None, None], image.shape[-2:], mode="bilinear")[0, 0]
        found.append(heat / heat.max().clamp_min(1e-30))
    return torch.stack(found)


@pytest.mark.parametrize("outputs", [3, 1])
@pytest.mark.parametrize("after", [None, lambda maps: maps.relu_()])
def test_it_is_the_formula(outputs, after):
    model, input = Small(outputs, after).eval(), images(5, 12)
    wanted = by_hand(model, input)
    assert wanted.amax((1, 2)).eq(1).any()
    assert torch.allclose(heat_maps(model, input), wanted, atol=1e-5)


def test_the_stage_of_a_class_lights_up_where_its_channel_does():
    model = nn.Sequential(nn.Conv2d(3, 3, 1, bias=False), nn.AdaptiveAvgPool2d(1), nn.Flatten())
    with torch.no_grad():
        model[0].weight.copy_(torch.eye(3).view(3, 3, 1, 1))
    input = torch.zeros(1, 3, 8, 8)
    input[0, 1, 2, 5], input[0, 2, 6, 6] = 4.0, 1.0
    heat = heat_maps(model, input)[0]
    assert heat[2, 5] == 1
    assert heat.sum() == 1


@pytest.mark.parametrize("name", ["simple_cnn", "resnet20", "fast_cnn", "mobilenet_v3_small", "squeezenet1_1"])
def test_networks_are_explained_under_no_grad_and_stay_as_they_were(name):
    side = 64
    model = registry.models.build(name, {}, {**FACTS, "input_shape": [3, side, side]}).eval().requires_grad_(False)
    before = {key: value.clone() for key, value in model.state_dict().items()}
    with torch.no_grad():
        logits = model(images(2, side))
        heat = heat_maps(model, images(2, side))
        assert not torch.is_grad_enabled()
        assert torch.equal(model(images(2, side)), logits)
    assert heat.shape == (2, side, side)
    assert heat.min() >= 0
    assert heat.max() <= 1
    assert all(torch.equal(before[key], value) for key, value in model.state_dict().items())
    assert all(not module._forward_hooks for module in model.modules())


def test_of_an_image_and_its_mirror_image_the_first_counts():
    class Mirrored(Small):
        def forward(self, input):
            return super().forward(input) + super().forward(input.flip(-1))

    model = Mirrored().eval()
    stage, call = last_maps(model, images(1))
    assert stage is model.second
    assert call == 0


def test_of_a_pooling_used_twice_the_last_call_counts():
    class Twice(Small):
        def __init__(self):
            super().__init__()
            self.pool = nn.MaxPool2d(2)

        def forward(self, input):
            return self.head(self.pool(self.second(self.pool(self.first(input)))).mean((2, 3)))

    model = Twice().eval()
    assert last_maps(model, images(1)) == (model.pool, 1)
    assert heat_maps(model, images()).shape == (2, 32, 32)


class Tokens(nn.Module):
    def __init__(self):
        super().__init__()
        self.patches, self.norm, self.head = nn.Conv2d(3, 8, 8, 8), nn.LayerNorm(8), nn.Linear(8, 3)

    def forward(self, input):
        return self.head(self.norm(self.patches(input).flatten(2).transpose(1, 2)).mean(1))


@pytest.mark.parametrize("model", [nn.Sequential(nn.Flatten(), nn.Linear(3072, 3)), Tokens()], ids=["dense", "tokens"])
def test_without_maps_at_the_end_it_says_so(model):
    with pytest.raises(UsageError, match="Grad-CAM wants feature maps"):
        heat_maps(model.eval(), images())
    assert all(not module._forward_hooks for module in model.modules())
