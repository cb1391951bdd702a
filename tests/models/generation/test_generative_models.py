import math

import pytest
import torch
from torch import nn
from torch.nn.utils.parametrize import is_parametrized

from dlx.errors import ComponentError
from dlx.models.generation.sngan import UpBlock
from dlx.models.generation.unet import Attention, TimeEmbedding
from dlx.registry import models
from dlx.registry.signatures import check

SQUARES = [[1, 28, 28], [3, 32, 32], [3, 64, 64]]
SMALL = {
    "dcgan": {"width": 4},
    "sngan": {"generator_width": 8, "discriminator_width": 8},
    "mlp_gan": {},
    "conv_vae": {"width": 4, "hidden": 16},
    "unet": {"width": 4},
}
LABEL = torch.arange(6) % 3


@pytest.fixture(autouse=True)
def one_thread():
    """Networks as small as these are slower on two."""
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


def build(name, shape, num_classes=3, **choices):
    models.names()
    values, faults = check(models.signatures[name], SMALL.get(name, {}) | choices)
    assert faults == []
    facts = {"input_shape": shape} | ({"num_classes": num_classes} if num_classes else {})
    return models.build(name, values, facts)


def filled(model):
    """Give every parameter a value, for a network that begins with zeros tells nothing."""
    generator = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.copy_(torch.randn(parameter.shape, generator=generator) / max(1, parameter[0].numel()) ** 0.5)
    return model


def answers(model, image, label):
    """Run every part of a model."""
    if hasattr(model, "discriminator"):
        noise = torch.randn(len(image), model.latent_size)
        return [model(noise, label), model.discriminator(image, label)]
    if hasattr(model, "encoder"):
        mean, log_variance = model.encoder(image, label)
        return [model(mean + log_variance, label), mean, log_variance]
    return [model(image, torch.linspace(0, 1, len(image)), label)]


# All of them.


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("shape", SQUARES, ids=str)
@pytest.mark.parametrize("name", SMALL)
def test_every_part_answers_in_its_shape_and_learns_with_all_its_parameters(name, shape, conditional):
    torch.manual_seed(0)
    model = filled(build(name, shape, conditional=conditional))
    outputs = answers(model, torch.rand(6, *shape) * 2 - 1, LABEL if conditional else None)
    assert outputs[0].shape == (6, *shape)
    latent = (6, getattr(model, "latent_size", 0))
    assert [output.shape for output in outputs[1:]] in ([], [(6,)], [latent, latent])
    sum((output * torch.randn_like(output)).sum() for output in outputs).backward()
    assert [n for n, p in model.named_parameters() if p.grad is None or not p.grad.any() or not p.grad.isfinite().all()] == []


@pytest.mark.parametrize("name", SMALL)
def test_the_class_asked_for_changes_every_answer_and_is_all_that_does(name):
    torch.manual_seed(0)
    model = filled(build(name, [1, 28, 28], conditional=True)).eval()
    image = torch.rand(1, 1, 28, 28).expand(2, -1, -1, -1) * 2 - 1

    def run(*label):
        torch.manual_seed(1)
        if hasattr(model, "latent_size"):
            noise = torch.randn(1, model.latent_size).expand(2, -1)
            critic = getattr(model, "discriminator", None) or (lambda *given: model.encoder(*given)[0])
            return [model(noise, torch.tensor(label)), critic(image, torch.tensor(label))]
        return [model(image, torch.full((2,), 0.5), torch.tensor(label))]

    for one, two in zip(run(1, 1), run(1, 2), strict=True):
        torch.testing.assert_close(one[0], one[1])
        assert not torch.allclose(two[0], two[1], atol=1e-4)


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("name", ["dcgan", "sngan", "mlp_gan", "conv_vae"])
def test_a_label_is_wanted_where_conditional_and_only_there(name, conditional):
    model = build(name, [1, 28, 28], conditional=conditional)
    label, message = (None, "wants a label") if conditional else (LABEL, "takes no label")
    with pytest.raises(ComponentError, match=message):
        model(torch.zeros(6, model.latent_size), label)
    with pytest.raises(ComponentError, match=message):
        (model.encoder if name == "conv_vae" else model.discriminator)(torch.zeros(6, 1, 28, 28), label)


@pytest.mark.parametrize("name", SMALL)
def test_classes_must_be_known_to_be_told(name):
    build(name, [1, 28, 28], num_classes=None)
    with pytest.raises(ComponentError, match="num_classes"):
        build(name, [1, 28, 28], num_classes=None, conditional=True)


@pytest.mark.parametrize("shape", [[1, 30, 30], [1, 28, 32], [3, 7, 7], [3, 22, 22]], ids=str)
@pytest.mark.parametrize("name", ["dcgan", "sngan", "conv_vae"])
def test_sides_that_no_map_doubles_to_are_refused(name, shape):
    with pytest.raises(ComponentError, match=f"such as 28, 32 or 64, not {shape[1]}x{shape[2]}"):
        build(name, shape)


@pytest.mark.parametrize("name", SMALL)
def test_rows_are_no_images(name):
    with pytest.raises(ComponentError, match="an image"):
        build(name, [64])


@pytest.mark.parametrize("name", SMALL)
def test_digits_of_8x8_suit_all(name):
    shape = [1, 8, 8]
    assert answers(build(name, shape), torch.zeros(2, *shape), None)[0].shape == (2, *shape)


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("name", SMALL)
@pytest.mark.usefixtures("on_meta")
def test_they_are_built_without_storage(name, conditional):
    model = build(name, [3, 32, 32], conditional=conditional)
    label = torch.zeros(2, dtype=torch.int64) if conditional else None
    assert all(output.is_meta for output in answers(model, torch.zeros(2, 3, 32, 32), label))


@pytest.mark.parametrize("name", ["dcgan", "sngan", "mlp_gan"])
def test_images_stay_between_minus_one_and_one(name):
    torch.manual_seed(0)
    model = build(name, [1, 28, 28])
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.mul_(20)
    image = model(torch.randn(4, model.latent_size))
    assert image.abs().max() <= 1
    assert image.min() < -0.1 < 0.1 < image.max()


@pytest.mark.parametrize(
    ("name", "choices"),
    [("mlp_gan", {}), ("sngan", {}), *(("dcgan", {"discriminator_norm": norm}) for norm in ("layer", "instance", "none"))],
)
def test_the_slope_of_a_discriminator_can_itself_be_descended(name, choices):
    torch.manual_seed(0)
    discriminator = build(name, [1, 8, 8], conditional=True, **choices).double().discriminator.eval()
    image = torch.rand(2, 1, 8, 8, dtype=torch.float64, requires_grad=True)

    def slope(image):
        return torch.autograd.grad(discriminator(image, LABEL[:2]).sum(), image, create_graph=True)[0]

    direction = torch.randn_like(image)
    weighted = torch.randn_like(image)
    exact = torch.autograd.grad((slope(image) * weighted).sum(), image, allow_unused=True)[0]
    step = 1e-6 * direction
    estimate = ((slope(image + step) - slope(image - step)) * weighted).sum() / 2e-6
    expected = torch.zeros(()) if exact is None else (exact * direction).sum()
    assert estimate.item() == pytest.approx(expected.item(), rel=1e-4, abs=1e-6)


# DCGAN.


@pytest.mark.parametrize("norm", ["layer", "instance", "none", "spectral"])
def test_without_batch_norm_the_discriminator_sees_each_image_for_itself(norm):
    torch.manual_seed(0)
    model = build("dcgan", [3, 32, 32], discriminator_norm=norm, conditional=True)
    image = torch.rand(6, 3, 32, 32)
    model.discriminator(image, LABEL)
    for module in model.discriminator.modules():  # a training pass moves its estimates of singular values
        if is_parametrized(module):
            module.parametrizations.eval()
    together = model.discriminator(image, LABEL)
    alone = torch.cat([model.discriminator(image[i : i + 1], LABEL[i : i + 1]) for i in range(6)])
    torch.testing.assert_close(together, alone, rtol=1e-4, atol=1e-5)


def test_dcgan_begins_as_the_paper_does():
    torch.manual_seed(0)
    model = build("dcgan", [3, 32, 32], width=32)
    for module in model.modules():
        if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear):
            assert module.weight.std().item() == pytest.approx(0.02, rel=0.15)
        if isinstance(module, nn.BatchNorm2d):
            assert module.weight.mean().item() == pytest.approx(1, abs=0.02)


# Spectral normalisation.


@pytest.mark.parametrize(("name", "choices"), [("sngan", {}), ("dcgan", {"discriminator_norm": "spectral"})])
def test_spectral_normalisation_holds_the_largest_singular_value_at_one(name, choices):
    torch.manual_seed(0)
    model = build(name, [1, 8, 8], conditional=True, **choices)
    with torch.no_grad():
        for parameter in model.discriminator.parameters():
            parameter.mul_(7)
        for _ in range(30):
            model.discriminator(torch.rand(6, 1, 8, 8), LABEL)
    weighted = [m for m in model.eval().discriminator.modules() if isinstance(m, nn.Conv2d | nn.Linear | nn.Embedding)]
    assert len(weighted) >= 3
    for module in weighted:
        assert torch.linalg.matrix_norm(module.weight.flatten(1), 2).item() == pytest.approx(1, abs=0.05)


def test_the_generators_shortcut_equals_doubling_first():
    torch.manual_seed(0)
    block, image = UpBlock(3, 5, 0), torch.randn(2, 3, 4, 4)
    with torch.no_grad():
        block.conv2.weight.zero_()
        block.conv2.bias.zero_()
    doubled = image.repeat_interleave(2, 2).repeat_interleave(2, 3)
    torch.testing.assert_close(block(image, None), block.shortcut(doubled))


# U-Net.


def test_no_label_is_the_class_after_the_last():
    torch.manual_seed(0)
    model = filled(build("unet", [1, 8, 8], conditional=True))
    image, time = torch.randn(4, 1, 8, 8), torch.rand(4)
    torch.testing.assert_close(model(image, time), model(image, time, torch.full((4,), 3)))
    with pytest.raises(ComponentError, match="takes no label"):
        build("unet", [1, 8, 8])(image, time, LABEL[:4])


def test_unet_begins_with_zeros_and_hears_the_time():
    model = build("unet", [1, 8, 12])
    image = torch.randn(1, 1, 8, 12).expand(2, -1, -1, -1)
    assert not model(image, torch.tensor([0.1, 0.9])).any()
    early, late = filled(model)(image, torch.tensor([0.1, 0.9]))
    assert not torch.allclose(early, late, atol=1e-3)


def test_unet_refuses_sides_that_it_cannot_halve():
    with pytest.raises(ComponentError, match="halves images 2 times, so it wants sides divisible by 4, not 30x28") as caught:
        build("unet", [1, 30, 28])
    assert caught.value.path == ("multipliers",)
    build("unet", [1, 30, 28], multipliers=[1, 2])


def test_the_default_unet_is_small():
    with torch.device("meta"):
        model = build("unet", [1, 28, 28], width=32)
    assert 1.5e6 < sum(p.numel() for p in model.parameters()) < 3e6


def test_time_is_embedded_by_the_published_sinusoids():
    module = TimeEmbedding(4, 8)
    module.layers = nn.Identity()
    rows = module(torch.tensor([0.0, 0.25]))
    torch.testing.assert_close(rows[0], torch.tensor([0.0, 0.0, 1.0, 1.0]))
    angles = [250.0, 250.0 / 100]
    torch.testing.assert_close(rows[1], torch.tensor([*map(math.sin, angles), *map(math.cos, angles)]), atol=1e-4, rtol=0)


def test_attention_equals_the_reference_module():
    torch.manual_seed(0)
    ours, image = filled(Attention(64)), torch.randn(2, 64, 3, 5)
    reference = nn.MultiheadAttention(64, ours.heads, batch_first=True)
    with torch.no_grad():
        reference.in_proj_weight.copy_(ours.query_key_value.weight)
        reference.in_proj_bias.copy_(ours.query_key_value.bias)
        reference.out_proj.load_state_dict(ours.output.state_dict())
    pixels = ours.norm(image).flatten(2).transpose(1, 2)
    wanted = reference(pixels, pixels, pixels)[0].transpose(1, 2).reshape(image.shape) + image
    torch.testing.assert_close(ours(image), wanted, rtol=1e-4, atol=1e-5)


# Layer lists.

TANH = [{"dense": 64}, "tanh", {"reshape": [1, 8, 8]}]
LOGIT = ["flatten", {"dense": 8}, "relu", {"dense": 1}]
WIDE = [
    {"dense": 8 * 49},
    {"reshape": [8, 7, 7]},
    {"conv_transpose2d": {"filters": 4, "kernel_size": 4, "stride": 2, "padding": 1}},
    "relu",
    {"conv_transpose2d": {"filters": 1, "kernel_size": 4, "stride": 2, "padding": 1}},
    "tanh",
]
STRIDED = [{"conv2d": {"filters": 4, "kernel_size": 4, "stride": 2, "padding": 1}}, "leaky_relu", "flatten", {"dense": 1}]


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize(("shape", "generator", "discriminator"), [([1, 8, 8], TANH, LOGIT), ([1, 28, 28], WIDE, STRIDED)])
def test_a_gan_is_written_layer_by_layer(shape, generator, discriminator, conditional):
    torch.manual_seed(0)
    model = build("gan", shape, generator=generator, discriminator=discriminator, latent_size=5, conditional=conditional)
    label = LABEL if conditional else None
    image, logits = answers(model, torch.randn(6, *shape), label)
    assert (image.shape, logits.shape) == ((6, *shape), (6,))
    (image.square().sum() + logits.sum()).backward()
    assert all(p.grad.any() for p in model.parameters())
    again = build("gan", shape, generator=generator, discriminator=discriminator, latent_size=5, conditional=conditional)
    again.load_state_dict(model.state_dict())
    noise = torch.randn(6, 5)
    assert torch.equal(again(noise, label), model(noise, label))


def test_the_class_changes_what_layer_lists_answer():
    torch.manual_seed(0)
    model = build("gan", [1, 8, 8], generator=TANH, discriminator=LOGIT, conditional=True)
    image = model(torch.randn(1, 100).expand(2, -1), torch.tensor([0, 1]))
    logits = model.discriminator(image[:1].expand(2, -1, -1, -1), torch.tensor([0, 1]))
    assert not torch.allclose(image[0], image[1])
    assert logits[0] != logits[1]
    for part, given in ((model.generator, torch.zeros(2, 100)), (model.discriminator, image)):
        with pytest.raises(ComponentError, match="wants a label"):
            part(given)


@pytest.mark.parametrize(
    ("generator", "discriminator", "path", "message"),
    [
        ([{"dense": 60}, "tanh"], LOGIT, ("generator", 0, "dense"), r"ends in \(60,\), but the data's images are \(1, 8, 8\)"),
        (["tanh"], LOGIT, ("generator", 0, "tanh"), r"ends in \(100,\)"),
        ([{"dense": 64}, {"reshape": [1, 8, 8]}], LOGIT, ("generator", 1, "reshape"), "ends without a tanh"),
        ([*TANH, "sigmoid"], LOGIT, ("generator", 3, "sigmoid"), "ends without a tanh"),
        ([{"conv2d": 3}, *TANH], LOGIT, ("generator", 0, "conv2d"), r"but gets \(100,\) from the noise"),
        ([{"dense": 60}, {"reshape": [1, 8, 8]}], LOGIT, ("generator", 1, "reshape"), "as many values"),
        (TANH, ["flatten", {"dense": 2}], ("discriminator", 1, "dense"), r"ends in \(2,\), but a discriminator ends in one"),
        (TANH, [*LOGIT, "sigmoid"], ("discriminator", 4, "sigmoid"), "ends in sigmoid, but the losses read logits"),
        (TANH, [{"lstm": 3}, *LOGIT], ("discriminator", 0, "lstm"), r"gets \(1, 8, 8\) from the image"),
    ],
)  # fmt: skip
def test_lists_that_make_no_gan_are_told_at_the_layer(generator, discriminator, path, message):
    with pytest.raises(ComponentError, match=message) as caught:
        build("gan", [1, 8, 8], generator=generator, discriminator=discriminator)
    assert caught.value.path == path
