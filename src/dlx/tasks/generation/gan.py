"""Two networks that train each other: one makes images, the other tells them from real ones."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Annotated, Literal, NamedTuple

import torch
import torch.nn.functional as F
from pydantic import Field, NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from dlx.core import Batch, Loss
from dlx.errors import ComponentError
from dlx.registry import tasks
from dlx.tasks.generation.base import Generation, ImageFacts

GanLoss = Literal["non_saturating", "least_squares", "hinge", "wasserstein"]
SURE = 0.97  # share of real and of generated images recognised above which the discriminator has won


@tasks("gan")
class GAN(Generation):
    """Train a generator against a discriminator (Goodfellow et al. 2014), each with an optimizer of its own.

    Losses: non_saturating (Goodfellow et al. 2014), least_squares (Mao et al. 2017), hinge (Miyato et al. 2018), wasserstein
    (Arjovsky et al. 2017), which has `gradient_penalty` 10 unless said (Gulrajani et al. 2017). Every step trains the
    discriminator; the generator is trained in every `discriminator_steps`-th. `r1` weighs the penalty on the discriminator's
    slope at real images (Mescheder et al. 2018), taken every `r1_every` steps and then as many times as strong.
    `label_smoothing` is taken from the target of real images, 1. With `trainer.ema`, images are made by averaged weights.
    """

    parts = ("discriminator", "generator")
    updates: Tensor

    def __init__(
        self,
        model: nn.Module,
        images: ImageFacts,
        seed: int,
        *,
        loss: GanLoss = "non_saturating",
        discriminator_steps: PositiveInt = 1,
        gradient_penalty: NonNegativeFloat | None = None,
        r1: NonNegativeFloat = 0.0,
        r1_every: PositiveInt = 1,
        label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        if missing := [part for part in self.parts if part not in dict(model.named_children())]:
            raise ComponentError(
                f"wants a model with a generator and a discriminator, such as dcgan; this one has no {missing[0]}"
            )
        if label_smoothing and loss not in ("non_saturating", "least_squares"):
            raise ComponentError(f"the loss {loss} has no target to smooth", ("label_smoothing",))
        super().__init__(model, images, seed)
        self.loss, self.target = LOSSES[loss], 1 - label_smoothing
        self.discriminator_steps = discriminator_steps
        self.gradient_penalty = gradient_penalty if gradient_penalty is not None else 10.0 * (loss == "wasserstein")
        self.r1, self.r1_every = r1, r1_every
        self.critic = loss == "wasserstein"  # its answers are no logits
        self.register_buffer("updates", torch.tensor(0))  # of the discriminator

    def losses(self, batch: Batch) -> Iterator[Loss]:
        """Yield the discriminator's loss and, where it is its turn, the generator's."""
        real, label, weight = self.real(batch), self.label(batch), len(batch["input"])
        done = int(self.updates) if self.counts else 0
        is_turn = (done + 1) % self.discriminator_steps == 0
        noise = torch.randn(weight, *self.noise_shape, device=real.device)
        with torch.set_grad_enabled(is_turn):
            fake = self.call(self.model.generator, noise, label=label)
        yield self.discriminate(real, fake.detach(), label, penalize=done % self.r1_every == 0)
        if self.counts:  # after the yield: micro-batches of one step all see the same count
            self.updates.fill_(done + 1)
        if is_turn:
            yield Loss(self.loss.generator(self.call(self.model.discriminator, fake, label=label)), weight, "generator")

    @property
    def counts(self) -> bool:
        """Tell whether the number of updates matters."""
        return self.discriminator_steps > 1 or (self.r1 > 0 and self.r1_every > 1)

    @property
    def recordable(self) -> bool:
        """Tell whether every step trains both sides alike."""
        return not self.counts

    def discriminate(self, real: Tensor, fake: Tensor, label: Tensor | None, penalize: bool) -> Loss:
        """Compute the discriminator's loss on real images and on generated ones."""
        slope = bool(self.r1) and penalize
        real = real.requires_grad_(slope)
        of_real = self.call(self.model.discriminator, real, label=label)
        of_fake = self.call(self.model.discriminator, fake, label=label)
        value = self.loss.discriminator(of_real, of_fake, self.target)
        scalars = self.report(of_real.detach(), of_fake.detach())
        if slope:
            value = value + self.r1 / 2 * self.r1_every * squared_slope(of_real, real).mean()
        if self.gradient_penalty:
            penalty = self.penalty(real.detach(), fake, label)
            value, scalars["gradient_penalty"] = value + self.gradient_penalty * penalty, penalty.detach()
        return Loss(value, len(real), "discriminator", scalars)

    def report(self, of_real: Tensor, of_fake: Tensor) -> dict[str, float | Tensor]:
        """Tell how well the discriminator does: the distance it sees, or the shares it recognises."""
        if self.critic:
            return {"wasserstein_distance": of_real.mean() - of_fake.mean()}
        middle = 0.5 if self.loss is LOSSES["least_squares"] else 0.0
        return {"real_accuracy": (of_real > middle).float().mean(), "fake_accuracy": (of_fake < middle).float().mean()}

    def penalty(self, real: Tensor, fake: Tensor, label: Tensor | None) -> Tensor:
        """Compute how far the slope of the discriminator is from 1 between real and generated images."""
        share = torch.rand(len(real), 1, 1, 1, device=real.device)
        between = torch.lerp(real, fake.to(real.dtype), share).requires_grad_()
        slope = squared_slope(self.call(self.model.discriminator, between, label=label), between).sqrt()
        return (slope - 1).square().mean()

    def sample(self, noise: Tensor, label: Tensor | None) -> Tensor:
        """Make images from noise (B, latent_size)."""
        return self.call(self.model.generator, noise, label=label)

    def remarks(self, scalars: Mapping[str, float]) -> Iterator[str]:
        """Warn of a discriminator that has won, beside what every generator may suffer."""
        yield from super().remarks(scalars)
        shares = [scalars.get(f"train/{name}_accuracy", 0.0) for name in ("real", "fake")]
        if min(shares) > SURE:
            yield (
                f"the discriminator tells {min(shares):.0%} of the images right, so the generator has little to learn from: "
                "lower optimizer.discriminator.lr, or give the task r1 or label_smoothing"
            )

    def verify(self, batch: Batch) -> None:
        """Refuse a discriminator whose output is not one number an image, beside what every generator must keep."""
        super().verify(batch)
        output = self.call(self.model.discriminator, self.real(batch), label=self.label(batch))
        if output.numel() != len(batch["input"]):
            raise ComponentError(f"its discriminator gives {tuple(output.shape[1:])} an image instead of one number")


class AdversarialLoss(NamedTuple):
    """What each side minimises: (logits of real, logits of generated, target of real) and (logits of generated)."""

    discriminator: Callable[[Tensor, Tensor, float], Tensor]
    generator: Callable[[Tensor], Tensor]


def _entropy(logits: Tensor, target: float) -> Tensor:
    return F.binary_cross_entropy_with_logits(logits, torch.full_like(logits, target))


LOSSES = {
    "non_saturating": AdversarialLoss(
        lambda real, fake, target: _entropy(real, target) + _entropy(fake, 0.0), lambda fake: _entropy(fake, 1.0)
    ),
    "least_squares": AdversarialLoss(
        lambda real, fake, target: ((real - target).square().mean() + fake.square().mean()) / 2,
        lambda fake: (fake - 1).square().mean() / 2,
    ),
    "hinge": AdversarialLoss(
        lambda real, fake, _: F.relu(1 - real).mean() + F.relu(1 + fake).mean(), lambda fake: -fake.mean()
    ),
    "wasserstein": AdversarialLoss(lambda real, fake, _: fake.mean() - real.mean(), lambda fake: -fake.mean()),
}


def squared_slope(output: Tensor, images: Tensor) -> Tensor:
    """Compute the squared norm (B,) of the gradient of each image's output by that image, itself differentiable."""
    (gradient,) = torch.autograd.grad(output.sum(), images, create_graph=True)
    return gradient.flatten(1).square().sum(1)
