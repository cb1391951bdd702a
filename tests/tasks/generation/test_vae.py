"""The bound against its definition, and what a variational autoencoder shows and says."""

import math

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Bernoulli, Normal, kl_divergence

from dlx.engine.device import Device
from dlx.engine.step import Stepper
from dlx.errors import ComponentError
from dlx.tasks.generation.base import ImageFacts, standard_normal
from dlx.tasks.generation.vae import VAE, kl

CLASSES, LATENT, PIXELS = 3, 5, 16


class Part(nn.Module):
    def __init__(self, inputs, outputs, conditional, encodes):
        super().__init__()
        self.conditional, self.encodes = conditional, encodes
        self.body = nn.Sequential(nn.Linear(inputs, 24), nn.Tanh(), nn.Linear(24, outputs))
        self.label = nn.Embedding(CLASSES, outputs)

    def forward(self, given, label=None):
        assert (label is not None) == self.conditional
        output = self.body(given.flatten(1)) + (0 if label is None else self.label(label))
        return output.chunk(2, 1) if self.encodes else output.view(-1, 1, 4, 4)


class Pair(nn.Module):
    def __init__(self, conditional=False):
        super().__init__()
        torch.manual_seed(0)
        self.latent_size, self.conditional = LATENT, conditional
        self.encoder = Part(PIXELS, 2 * LATENT, conditional, True)
        self.decoder = Part(LATENT, PIXELS, conditional, False)

    def forward(self, noise, label=None):
        return self.decoder(noise, label)


def made(conditional=False, **choices):
    return VAE(Pair(conditional), ImageFacts([1, 4, 4], CLASSES, [0.5], [0.25]), 0, **choices).eval()


def batch(size=20, first=0):
    generator = torch.Generator().manual_seed(1)
    pixels = torch.rand(100, 1, 4, 4, generator=generator)[first : first + size]
    index = torch.arange(first, first + size)
    return {"input": (pixels - 0.5) / 0.25, "target": index % CLASSES, "index": index}, pixels


@pytest.mark.parametrize("conditional", [False, True])
@pytest.mark.parametrize("beta", [0.0, 1.0, 4.0])
@pytest.mark.parametrize("reconstruction", ["bernoulli", "gaussian"])
def test_the_loss_is_the_bound_as_it_is_defined(reconstruction, beta, conditional):
    task = made(conditional, reconstruction=reconstruction, beta=beta)
    words, pixels = batch()
    label = words["target"] if conditional else None
    noise = torch.randn(20, LATENT)
    loss = task.negative_elbo(words, noise)
    mean, log_variance = task.model.encoder(2 * pixels - 1, label)
    posterior = Normal(mean, (log_variance / 2).exp())
    logits = task.model.decoder(posterior.mean + posterior.stddev * noise, label)
    if reconstruction == "bernoulli":
        likelihood = Bernoulli(logits=logits, validate_args=False).log_prob(pixels)
    else:
        likelihood = Normal(logits.sigmoid(), 0.1).log_prob(pixels)
    divergence = kl_divergence(posterior, Normal(0.0, 1.0)).sum(1).mean()
    distance = -likelihood.flatten(1).sum(1).mean()
    assert loss.value.item() == pytest.approx((distance + beta * divergence).item(), rel=1e-5)
    assert loss.scalars["kl"].item() == pytest.approx(divergence.item(), rel=1e-5)
    assert loss.scalars["reconstruction"].item() == pytest.approx(distance.item(), rel=1e-5)
    assert loss.weight == 20


def test_the_divergence_is_nothing_only_for_the_standard_distribution():
    assert kl(torch.zeros(2, 3), torch.zeros(2, 3)).tolist() == [0, 0]
    mean, log_variance = torch.randn(50, 7), torch.randn(50, 7)
    wanted = kl_divergence(Normal(mean, (log_variance / 2).exp()), Normal(0.0, 1.0)).sum(1)
    assert torch.allclose(kl(mean, log_variance), wanted, rtol=1e-4)


def test_the_bound_lies_above_the_likelihood_and_meets_it_at_the_true_posterior():
    """A linear decoder with normal noise: the true posterior is known, and with it the bound is the likelihood."""
    weight, sigma, images = 0.3, 0.2, torch.tensor([[0.1], [0.7]])

    class Linear(Pair):
        def forward(self, noise, label=None):
            return torch.logit(0.5 + weight * 0.05 * noise.view(-1, 1, 1, 1))

    slope = weight * 0.05
    variance = 1 / (1 + slope**2 / sigma**2)
    mean = variance * slope * (images - 0.5) / sigma**2
    true = Normal(0.5, math.sqrt(slope**2 + sigma**2)).log_prob(images).mean().item()
    bounds = []
    for shift in (0.0, 0.5):
        model = Linear()
        model.latent_size = 1
        model.encoder.forward = lambda image, shift=shift: (mean + shift, torch.full((2, 1), math.log(variance)))
        model.decoder.forward = model.forward
        task = VAE(model, ImageFacts([1, 1, 1], CLASSES, [0.0], [1.0]), 0, reconstruction="gaussian", sigma=sigma)
        words = {"input": images.view(2, 1, 1, 1)}
        noise = torch.randn(4000, 1, generator=torch.Generator().manual_seed(0))
        bounds.append(np.mean([task.negative_elbo(words, pair).value.item() for pair in noise.view(-1, 2, 1)]))
    assert bounds[0] == pytest.approx(-true, abs=0.003)
    assert bounds[1] > -true + 0.05


def test_gradients_pass_through_the_noise():
    """Those of the reparametrised sample, by finite differences, in both parts."""
    task, (words, _) = made().double(), batch(3)
    words = words | {"input": words["input"].double()}
    noise = torch.randn(3, LATENT, dtype=torch.float64)
    task.encode = lambda images, label: task.model.encoder(images)  # without the float32 that training keeps to
    task.distance = lambda logits, pixels: (logits.double().sigmoid() - pixels.double()).square().flatten(1).sum(1)
    task.negative_elbo(words, noise).value.backward()
    for parameter in (task.model.encoder.body[0].weight, task.model.decoder.body[2].weight):
        wanted = torch.zeros(3)
        for entry in range(3):
            values = []
            for change in (1e-2, -1e-2):
                with torch.no_grad():
                    parameter.view(-1)[entry] += change
                    values.append(task.negative_elbo(words, noise).value.item())
                    parameter.view(-1)[entry] -= change
            wanted[entry] = (values[0] - values[1]) / 2e-2
        assert parameter.grad.view(-1)[:3].tolist() == pytest.approx(wanted.tolist(), rel=1e-3, abs=1e-4)


def test_the_score_is_the_same_for_any_batches_and_whatever_was_drawn_before():
    task = made(conditional=True)
    whole = task.score({}, batch(20)[0])
    noise = standard_normal(0, range(20), (LATENT,))
    assert whole.value == task.negative_elbo(batch(20)[0], noise).value
    torch.manual_seed(99)
    before = torch.get_rng_state()
    parts = [task.score({}, batch(size, first)[0]) for first, size in ((0, 7), (7, 1), (8, 12))]
    assert sum(p.value.item() * p.weight for p in parts) / 20 == pytest.approx(whole.value.item(), rel=1e-5)
    assert torch.equal(torch.get_rng_state(), before)


def test_training_draws_new_noise_and_learns():
    task = made(conditional=True).train()
    words, _ = batch(20)
    assert task(words).value != task(words).value
    before = task.score({}, words).value.item()
    stepper = Stepper(task, {"": torch.optim.Adam(task.model.parameters(), 1e-2)}, Device(name="cpu"))
    for _ in range(40):
        stepper([words], {})
    assert task.score({}, words).value.item() < before - 0.2
    assert all(p.grad.any() for p in task.parameters())


def test_images_are_the_decoder_s_means():
    task, noise = made(), torch.randn(6, LATENT)
    assert torch.allclose(task.sample(noise, None), 2 * torch.sigmoid(task.model.decoder(noise)) - 1)


def test_reconstructions_stand_beside_what_they_are_of():
    task = made(conditional=True)
    words, pixels = batch(20)
    with torch.no_grad():
        shown = task.show_eval(words, task.predict(words))
        mean, _ = task.model.encoder(2 * pixels - 1, words["target"])
        again = task.model.decoder(mean, words["target"]).sigmoid()
    assert set(shown) == {"samples", "interpolation", "reconstructions"}
    images = shown["reconstructions"].images
    assert np.abs(images[::2] / 255.0 - pixels.numpy()).max() <= 0.5 / 255 + 1e-6
    assert np.abs(images[1::2] / 255.0 - again.numpy()).max() <= 0.5 / 255 + 1e-6
    many = {word: torch.cat([values] * 4) for word, values in words.items()}
    assert len(task.show_eval(many, {})["reconstructions"].images) == 64


def test_a_collapsed_posterior_is_told():
    (remark,) = made().remarks({"train/kl": 0.02})
    assert "0.02 nats" in remark
    assert "task.beta" in remark
    assert not list(made().remarks({"train/kl": 12.0}))
    assert not list(made().remarks({}))


def test_pixels_beyond_their_range_have_a_least_loss_too():
    task, (words, _) = made(), batch(4)
    far = words | {"input": words["input"] + 100}
    task.model.decoder.body[2].bias.data += 1e4
    assert task.negative_elbo(far, torch.zeros(4, LATENT)).value >= 0


def test_models_and_choices_that_do_not_fit_are_refused():
    with pytest.raises(ComponentError, match="an encoder and a decoder, such as conv_vae; this one has no encoder"):
        VAE(nn.Linear(4, 4), ImageFacts([1, 4, 4], CLASSES, [0.5], [0.5]), 0)
    with pytest.raises(ComponentError, match="a bernoulli has none"):
        made(sigma=0.2)
    task, (words, _) = made(), batch(4)
    task.verify(words)
    task.model.encoder.body[2] = nn.Linear(24, 2 * LATENT + 2)
    task.model.encoder.label = nn.Embedding(CLASSES, 2 * LATENT + 2)
    with pytest.raises(ComponentError, match=r"its encoder gives a mean of shape \(6,\), its decoder reads \(5,\)"):
        task.verify(words)
