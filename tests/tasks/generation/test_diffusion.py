"""Noise schedules and samplers against the papers' formulas, and against denoisers that are exact."""

import copy
import math

import pytest
import torch
from torch import nn

from dlx.engine.device import Device
from dlx.engine.step import Stepper
from dlx.errors import ComponentError
from dlx.tasks.generation.base import ImageFacts
from dlx.tasks.generation.diffusion import Diffusion, alpha_bar

SHAPE, CLASSES, MEAN, STD = [1, 4, 4], 3, 0.4, 0.2


class Exact(nn.Module):
    """The best answer there is for pixels drawn from N(mean, deviation): the expected noise, or velocity."""

    def __init__(self, mean, deviation, schedule="cosine", velocity=False, timesteps=1000):
        super().__init__()
        self.mean, self.variance, self.velocity = torch.as_tensor(mean), deviation**2, velocity
        self.left, self.timesteps, self.calls = alpha_bar(schedule, timesteps), timesteps, 0

    def forward(self, image, time):
        self.calls += 1
        left = self.left[(time.double() * self.timesteps).round().long()].view(-1, 1, 1, 1)
        signal, amount = left.sqrt(), (1 - left).sqrt()
        clean = self.mean + signal * self.variance / (left * self.variance + 1 - left) * (image - signal * self.mean)
        noise = (image - signal * clean) / amount
        return (signal * noise - amount * clean if self.velocity else noise).float()


class Small(nn.Module):
    """A linear map of image, time and class, that keeps the labels it was given."""

    def __init__(self, conditional=False):
        super().__init__()
        torch.manual_seed(0)
        self.conditional, self.labels = conditional, []
        self.body, self.time = nn.Linear(16, 16), nn.Linear(1, 16)
        self.label = nn.Embedding(CLASSES + 1, 16)

    def forward(self, image, time, label=None):
        self.labels.append(label)
        told = self.label(label) if label is not None else 0.0
        return (self.body(image.flatten(1)) + self.time(time[:, None]) + told).view_as(image)


def made(model, **choices):
    return Diffusion(model, ImageFacts(SHAPE, CLASSES, [MEAN], [STD]), 0, **choices).eval()


def batch(size=30, first=0):
    index = torch.arange(first, first + size)
    generator = torch.Generator().manual_seed(1)
    images = torch.randn(1000, *SHAPE, generator=generator)[first : first + size]
    return {"input": images, "target": index % CLASSES, "index": index}


# Schedules.


def test_the_linear_schedule_is_the_one_of_ddpm():
    beta = [1e-4 + (0.02 - 1e-4) * i / 999 for i in range(1000)]
    left = alpha_bar("linear", 1000)
    product = 1.0
    for step in range(1000):
        product *= 1 - beta[step]
        assert left[step + 1].item() == pytest.approx(product, rel=1e-9)
    assert left[0] == 1


def test_the_cosine_schedule_is_the_one_of_improved_ddpm():
    def f(step):
        return math.cos((step / 1000 + 0.008) / 1.008 * math.pi / 2) ** 2

    left = alpha_bar("cosine", 1000)
    assert left[:998].tolist() == pytest.approx([f(step) / f(0) for step in range(998)], rel=1e-9)
    assert (1 - left[1:] / left[:-1]).max().item() == pytest.approx(0.999)


@pytest.mark.parametrize("timesteps", [1, 2, 10, 50, 4000])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
def test_every_schedule_goes_from_the_image_to_noise(schedule, timesteps):
    left = alpha_bar(schedule, timesteps)
    assert left.shape == (timesteps + 1,)
    assert (left.diff() < 0).all()
    assert left[-1] > 0
    assert timesteps < 10 or left[-1] < 2e-4


@pytest.mark.parametrize("predict", ["noise", "velocity"])
def test_noisy_images_have_the_signal_and_the_noise_of_their_step(predict):
    """What the model is given has the mean and deviation of q(x_t | x_0); what it should answer gives back x_0."""
    task = made(Small(), predict=predict)
    images = torch.full((4000, *SHAPE), 0.6)
    given = {}

    def keep(image, step, label):
        given.update(image=image, step=step)
        return torch.zeros_like(image)

    task.output = keep
    noise = torch.randn(images.shape, generator=torch.Generator().manual_seed(0))
    for step in (1, 300, 1000):
        loss = task.error(images, torch.full((4000,), step), noise, None)
        left = alpha_bar("cosine", 1000)[step].item()
        assert given["image"].mean().item() == pytest.approx(math.sqrt(left) * 0.6, abs=0.01)
        assert given["image"].std().item() == pytest.approx(math.sqrt(1 - left), rel=0.01)
        wanted = noise if predict == "noise" else math.sqrt(left) * noise - math.sqrt(1 - left) * images
        assert loss.value.item() == pytest.approx(wanted.square().mean().item(), rel=1e-5)
        if step < 1000:  # at the last step the noise has all but the signal
            assert torch.allclose(task.clean(given["image"], wanted, left), images, atol=1e-4)


# Samplers.


@pytest.mark.parametrize("velocity", [False, True])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize(("sampler", "steps"), [("ddim", 1), ("ddim", 10), ("ddim", 1000), ("ddpm", 50)])
def test_a_model_that_knows_the_only_image_gives_it_back(schedule, velocity, sampler, steps):
    image = torch.rand(SHAPE, generator=torch.Generator().manual_seed(3)) * 1.8 - 0.9
    model = Exact(image, 0.0, schedule, velocity)
    task = made(
        model, noise_schedule=schedule, predict="velocity" if velocity else "noise", sampler=sampler, sampling_steps=steps
    )
    found = task.sample(torch.randn(5, *SHAPE), None)
    assert model.calls == steps
    assert torch.allclose(found, image.expand_as(found), atol=0.02 if steps == 1 else 1e-3)


@pytest.mark.parametrize("velocity", [False, True])
@pytest.mark.parametrize("schedule", ["linear", "cosine"])
@pytest.mark.parametrize(("sampler", "steps"), [("ddim", 200), ("ddpm", 1000)])
def test_the_best_denoiser_of_normal_pixels_gives_normal_pixels(schedule, velocity, sampler, steps):
    model = Exact(0.3, 0.15, schedule, velocity)
    task = made(
        model, noise_schedule=schedule, predict="velocity" if velocity else "noise", sampler=sampler, sampling_steps=steps
    )
    noise = torch.randn(200, *SHAPE, generator=torch.Generator().manual_seed(0))
    found = task.sample(noise, None)
    assert found.mean().item() == pytest.approx(0.3, abs=0.01)
    assert found.std().item() == pytest.approx(0.15, rel=0.06)
    assert found.std(0).mean().item() == pytest.approx(0.15, rel=0.06), "the images differ, not their pixels alone"


def test_a_step_of_ddpm_is_the_posterior_of_the_paper():
    """Ho et al. 2020, equations 6 and 7, with the variance that is right for a known image."""
    task = made(Exact(0.3, 0.15), sampler="ddpm")
    left, generator = alpha_bar("cosine", 1000), torch.Generator().manual_seed(0)
    image, added = (torch.randn(4, *SHAPE, generator=generator) * 0.3 for _ in range(2))
    for step in (2, 400, 900):
        now, then = left[step].item(), left[step - 1].item()
        alpha, beta = now / then, 1 - now / then
        clean = task.clean(image, task.output(image, torch.full((4,), step), None), now).clamp(-1, 1)
        mean = (math.sqrt(then) * beta * clean + math.sqrt(alpha) * (1 - then) * image) / (1 - now)
        wanted = mean + math.sqrt((1 - then) / (1 - now) * beta) * added
        assert torch.allclose(task.step_back(image, None, step, step - 1, added), wanted, atol=1e-5)


def test_images_follow_from_seed_and_number_alone_also_where_noise_is_added():
    task = made(Small(), sampler="ddpm", sampling_steps=7)
    together = task.generate(torch.arange(6), seed=3)["image"]
    apart = torch.cat([task.generate(torch.tensor([i]), seed=3)["image"] for i in range(6)])
    assert (together.int() - apart.int()).abs().max() <= 1
    assert not torch.equal(together, task.generate(torch.arange(6), seed=4)["image"])
    assert not torch.equal(together, made(Small(), sampling_steps=7).generate(torch.arange(6), seed=3)["image"])


def test_samples_stay_within_the_pixels():
    class Wild(Small):
        def forward(self, image, time, label=None):
            return 5 * super().forward(image, time, label)

    for sampler in ("ddim", "ddpm"):
        assert made(Wild(), sampler=sampler).sample(torch.randn(8, *SHAPE), None).abs().max() <= 1


# Labels.


def test_guidance_goes_beyond_the_difference_that_the_label_makes():
    model = Small(conditional=True)
    image, step, label = torch.randn(4, *SHAPE), torch.full((4,), 500), torch.tensor([0, 1, 2, 0])
    time = torch.full((4,), 0.5)
    told, untold = model(image, time, label), model(image, time, torch.full((4,), CLASSES))
    for weight in (0.0, 0.5, 3.0):
        found = made(model, guidance=weight).guided(image, step, label)
        assert torch.allclose(found, (1 + weight) * told - weight * untold, atol=1e-5)


def test_the_share_of_images_trained_without_their_label_is_the_one_asked_for():
    for share in (0.0, 0.1, 0.5):
        model = Small(conditional=True)
        task, words = made(model, unconditional=share), batch(500)
        torch.manual_seed(0)
        for _ in range(20):
            task(words)
        seen = torch.stack(model.labels)
        withheld = seen == CLASSES
        assert withheld.float().mean().item() == pytest.approx(share, abs=0.015)
        assert torch.equal(seen[~withheld], words["target"].expand(20, -1)[~withheld])
        task.score({}, words)
        assert torch.equal(model.labels[-1], words["target"]), "an evaluation withholds none"


def test_a_model_without_classes_is_asked_without_labels():
    model = Small()
    made(model)(batch())
    assert model.labels == [None]


# The loss.


def test_training_descends_the_error_at_uniform_steps():
    """Fifty steps equal a loop written by hand, which draws the same numbers in the same order."""
    task = made(Small(conditional=True)).train()
    model = copy.deepcopy(task.model)
    left, optimizer = alpha_bar("cosine", 1000).float(), torch.optim.Adam(model.parameters(), 1e-2)
    torch.manual_seed(5)
    for number in range(50):
        words = batch(6, 6 * number)
        images = (words["input"] * STD + MEAN) * 2 - 1
        step = torch.randint(1, 1001, (6,))
        noise = torch.randn_like(images)
        label = torch.where(torch.rand(6) < 0.1, CLASSES, words["target"])
        share = left[step].view(6, 1, 1, 1)
        output = model(share.sqrt() * images + (1 - share).sqrt() * noise, step / 1000, label)
        optimizer.zero_grad()
        ((output - noise) ** 2).mean().backward()
        optimizer.step()
    torch.manual_seed(5)
    stepper = Stepper(task, {"": torch.optim.Adam(task.model.parameters(), 1e-2)}, Device(name="cpu"))
    for number in range(50):
        stepper([batch(6, 6 * number)], {})
    for name, value in task.model.state_dict().items():
        torch.testing.assert_close(value, model.state_dict()[name], atol=1e-5, rtol=0)


def test_the_score_is_the_same_for_any_batches_and_whatever_was_drawn_before():
    task = made(Small(conditional=True))
    whole = task.score({}, batch(30))
    torch.manual_seed(99)
    before = torch.get_rng_state()
    parts = [task.score({}, batch(size, first)) for first, size in ((0, 7), (7, 1), (8, 22))]
    assert sum(p.value.item() * p.weight for p in parts) / 30 == pytest.approx(whole.value.item(), rel=1e-5)
    assert torch.equal(torch.get_rng_state(), before)


def test_the_steps_of_a_score_are_spread_evenly():
    task, seen = made(Small(), timesteps=100), []
    task.error = lambda images, step, noise, label: seen.append((step, noise))
    task.score({}, batch(1000))
    step, noise = seen[0]
    assert (step.min(), step.max()) == (1, 100)
    assert all(8 <= count <= 12 for count in step.bincount()[1:])
    assert (noise.std() - 1).abs() < 0.02


def test_the_state_is_the_model_s():
    task = made(Small())
    assert {f"model.{name}" for name in task.model.state_dict()} == set(task.state_dict())


# Refusals.


def test_choices_that_cannot_go_together_are_refused():
    with pytest.raises(ComponentError, match="100 are more than the timesteps, 50"):
        made(Small(), timesteps=50, sampling_steps=100)
    with pytest.raises(ComponentError, match=r"set model\.conditional to true"):
        made(Small(), guidance=1.0)
    with pytest.raises(ComponentError, match="without a label; set unconditional"):
        made(Small(conditional=True), guidance=1.0, unconditional=0.0)


def test_verify_takes_one_step_and_asks_for_no_label_too():
    model = Small(conditional=True)
    task = made(model)
    task.verify(batch(4))
    assert [len(label) for label in model.labels] == [2, 4]
    assert (model.labels[-1] == CLASSES).all()
    assert len(task.sampled) == 51
    model.label = nn.Embedding(CLASSES, 16)
    with pytest.raises(IndexError):
        task.verify(batch(4))
    with pytest.raises(ComponentError, match="leave out mixup"):
        task.verify(batch(4) | {"target": torch.rand(4, CLASSES)})


def test_nothing_is_sampled_until_it_is_read():
    model = Exact(0.3, 0.1)
    task = made(model, sampling_steps=4)
    prediction = task.predict(batch())
    task.score(prediction, batch())
    assert model.calls == 1
    assert prediction["image"].shape == (30, *SHAPE)
    assert model.calls == 5


def test_a_model_that_reads_no_time_is_refused():
    with pytest.raises(
        ComponentError, match="wants a model that reads an image and a time, such as unet; this one reads input"
    ):
        Diffusion(nn.Linear(4, 4), ImageFacts([1, 8, 8], 3, [0.5], [0.5]), 0)
