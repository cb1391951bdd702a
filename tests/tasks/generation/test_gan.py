"""The adversarial step against loops written by hand, its penalties, and what it reports."""

import copy

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlx.engine.device import Device
from dlx.engine.step import Stepper
from dlx.errors import ComponentError
from dlx.tasks.generation.base import ImageFacts
from dlx.tasks.generation.gan import GAN, LOSSES, squared_slope

CLASSES, LATENT = 3, 5


class Joined(nn.Module):
    """A perceptron that reads images or noise, with the one-hot label beside them."""

    def __init__(self, inputs, outputs, conditional, last):
        super().__init__()
        self.conditional = conditional
        self.body = nn.Sequential(
            nn.Linear(inputs + CLASSES * conditional, 16), nn.LeakyReLU(0.2), nn.Linear(16, outputs), last
        )

    def forward(self, given, label=None):
        rows = given.flatten(1)
        return self.body(torch.cat((rows, F.one_hot(label, CLASSES).float()), 1) if self.conditional else rows)


class Pair(nn.Module):
    def __init__(self, conditional=False):
        super().__init__()
        torch.manual_seed(0)
        self.latent_size, self.conditional = LATENT, conditional
        self.generator = Joined(LATENT, 16, conditional, nn.Sequential(nn.Tanh(), nn.Unflatten(1, (1, 4, 4))))
        self.discriminator = Joined(16, 1, conditional, nn.Flatten(0))

    def forward(self, noise, label=None):
        return self.generator(noise, label)


def made(conditional=False, **choices):
    return GAN(Pair(conditional), ImageFacts([1, 4, 4], CLASSES, [0.4], [0.2]), 0, **choices)


def batches(count=50, size=6):
    generator = torch.Generator().manual_seed(1)
    for _ in range(count):
        labels = torch.randint(CLASSES, (size,), generator=generator)
        yield {"input": torch.randn(size, 1, 4, 4, generator=generator), "target": labels, "index": torch.arange(size)}


def optimizers(model):
    return {part: torch.optim.Adam(getattr(model, part).parameters(), 1e-3, (0.5, 0.999)) for part in GAN.parts}


def by_hand(task, loss, every=1, gradient_penalty=0.0, r1=0.0, smoothing=0.0):
    """Alternate as the papers' own code does, without anything of dlx; random numbers are drawn in the same order."""
    model = copy.deepcopy(task.model).train()
    discriminator, generator = model.discriminator, model.generator
    made_optimizers = optimizers(model)
    bce = nn.BCEWithLogitsLoss()
    for number, batch in enumerate(batches(), 1):
        real = batch["input"] * 0.4 - 0.2  # from -1 to 1
        label = batch["target"] if model.conditional else None
        fake = generator(torch.randn(len(real), LATENT), label)
        made_optimizers["discriminator"].zero_grad()
        if r1:
            real.requires_grad_()
        of_real, of_fake = discriminator(real, label), discriminator(fake.detach(), label)
        if loss == "non_saturating":
            value = bce(of_real, torch.full_like(of_real, 1 - smoothing)) + bce(of_fake, torch.zeros_like(of_fake))
        elif loss == "least_squares":
            value = 0.5 * ((of_real - 1 + smoothing) ** 2).mean() + 0.5 * (of_fake**2).mean()
        elif loss == "hinge":
            value = torch.clamp(1 - of_real, min=0).mean() + torch.clamp(1 + of_fake, min=0).mean()
        else:
            value = of_fake.mean() - of_real.mean()
        if r1:
            gradient = torch.autograd.grad(of_real.sum(), real, create_graph=True)[0]
            value = value + r1 / 2 * gradient.pow(2).view(len(real), -1).sum(1).mean()
        if gradient_penalty:
            share = torch.rand(len(real), 1, 1, 1)
            between = ((1 - share) * real.detach() + share * fake.detach()).requires_grad_()
            gradient = torch.autograd.grad(discriminator(between, label).sum(), between, create_graph=True)[0]
            value = value + gradient_penalty * ((gradient.view(len(real), -1).norm(2, 1) - 1) ** 2).mean()
        value.backward()
        made_optimizers["discriminator"].step()
        if number % every == 0:
            made_optimizers["generator"].zero_grad()
            answer = discriminator(fake, label)
            if loss == "non_saturating":
                bce(answer, torch.ones_like(answer)).backward()
            elif loss == "least_squares":
                (0.5 * ((answer - 1) ** 2).mean()).backward()
            else:
                (-answer.mean()).backward()
            made_optimizers["generator"].step()
    return model


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize(
    ("choices", "hand"),
    [
        ({"loss": "non_saturating"}, {}),
        ({"loss": "non_saturating", "label_smoothing": 0.1}, {"smoothing": 0.1}),
        ({"loss": "non_saturating", "r1": 2.0}, {"r1": 2.0}),
        ({"loss": "least_squares"}, {}),
        ({"loss": "hinge", "discriminator_steps": 2}, {"every": 2}),
        ({"loss": "wasserstein", "discriminator_steps": 5}, {"every": 5, "gradient_penalty": 10.0}),
        ({"loss": "wasserstein", "gradient_penalty": 0.0}, {}),
    ],
    ids=lambda value: "-".join(f"{v}" for v in value.values()) or "plain",
)
def test_fifty_steps_equal_a_loop_written_by_hand(choices, hand, conditional):
    task = made(conditional, **choices)
    torch.manual_seed(7)
    wanted = by_hand(task, choices["loss"], **hand)
    torch.manual_seed(7)
    stepper = Stepper(task.train(), optimizers(task.model), Device(name="cpu"))
    before = copy.deepcopy(task.model)
    for batch in batches():
        stepper([batch], {})
    for name, value in task.model.state_dict().items():
        torch.testing.assert_close(value, wanted.state_dict()[name], atol=1e-6, rtol=0)
    for part in GAN.parts:
        assert not torch.equal(getattr(task.model, part).body[2].weight, getattr(before, part).body[2].weight)


def test_a_penalty_taken_seldom_is_as_much_stronger():
    torch.manual_seed(0)
    often, seldom = made(r1=2.0), made(r1=2.0, r1_every=4)
    plain = made()
    batch = next(batches())
    values = []
    for task in (plain, often, seldom):
        torch.manual_seed(3)
        values.append(next(task.losses(batch)).value.item())
    assert values[2] - values[0] == pytest.approx(4 * (values[1] - values[0]), rel=1e-4)
    stream = seldom.losses(batch)
    list(stream)  # the first update is done: the next three have no penalty
    torch.manual_seed(3)
    assert next(seldom.losses(batch)).value.item() == pytest.approx(values[0], rel=1e-6)


def test_micro_batches_of_one_step_agree_on_whose_turn_it_is():
    task = made(discriminator_steps=2)
    stepper = Stepper(task, optimizers(task.model), Device(name="cpu"))
    totals = {}
    for group in zip(*[batches(8)] * 2, strict=True):
        stepper(list(group), totals)
    assert int(task.updates) == 4
    assert totals["loss/generator"][1] == 2 * 2 * 6  # two of four steps, two micro-batches of six


def test_each_loss_is_least_where_its_paper_says():
    sure, unsure = torch.full((4,), 20.0), torch.zeros(4)
    assert LOSSES["non_saturating"].discriminator(sure, -sure, 1.0) == pytest.approx(0, abs=1e-6)
    assert LOSSES["non_saturating"].discriminator(unsure, unsure, 1.0) == pytest.approx(2 * torch.log(torch.tensor(2.0)).item())
    assert LOSSES["hinge"].discriminator(torch.ones(4), -torch.ones(4), 1.0) == 0
    assert LOSSES["least_squares"].discriminator(torch.ones(4), torch.zeros(4), 1.0) == 0
    assert LOSSES["wasserstein"].discriminator(sure, unsure, 1.0) == -20


def test_the_slope_of_a_linear_map_is_its_length():
    images = torch.randn(3, 1, 4, 4, requires_grad=True)
    weight = torch.randn(16)
    assert torch.allclose(squared_slope(images.flatten(1) @ weight, images), weight.square().sum().expand(3), rtol=1e-5)


def test_a_model_without_a_discriminator_is_refused():
    with pytest.raises(ComponentError, match="wants a model with a generator and a discriminator, such as dcgan"):
        GAN(nn.Linear(4, 4), ImageFacts([1, 4, 4], CLASSES, [0.5], [0.5]), 0)
    with pytest.raises(ComponentError, match="hinge has no target to smooth"):
        made(loss="hinge", label_smoothing=0.1)


def test_a_discriminator_that_wins_is_told():
    winning = {"train/real_accuracy": 0.99, "train/fake_accuracy": 0.98}
    (remark,) = made().remarks(winning)
    assert "98% of the images right" in remark
    assert "optimizer.discriminator.lr" in remark
    assert not list(made().remarks({"train/real_accuracy": 0.99, "train/fake_accuracy": 0.6}))


def test_images_that_are_all_alike_are_told():
    (remark,) = made().remarks({"val/diversity": 0.05})
    assert "nearly all alike" in remark
    (remark,) = made().remarks({"val/coverage": 0.8, "val/diversity": 0.9})
    assert "80% of the classes" in remark
    assert not list(made().remarks({"val/diversity": 0.9, "val/coverage": 1.0}))
