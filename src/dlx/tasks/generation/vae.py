"""Autoencoders whose code is a distribution, so that new images come from noise."""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from dlx.core import Batch, Loss, Picture
from dlx.errors import ComponentError
from dlx.pictures.grids import Grid
from dlx.registry import tasks
from dlx.tasks.generation.base import COLUMNS, ROWS, Generation, ImageFacts, as_bytes, standard_normal

NETWORKS = ("encoder", "decoder")
SIGMA = 0.1  # near the error that good reconstructions of small images keep (Rybkin et al. 2021)
SILENT = 0.5  # nats an image below which the noise says next to nothing of it


@tasks("vae")
class VAE(Generation):
    """Learn a variational autoencoder: images to noise and back (Kingma & Welling 2014).

    The loss, in nats an image, is `reconstruction` + `beta` * `kl`; with beta 1 it bounds the negative log likelihood from
    above, larger ones give images up for tidier noise (Higgins et al. 2017). `reconstruction` is bernoulli, the cross-entropy
    of pixels from 0 to 1, or gaussian, with the same deviation `sigma` for every pixel: 0.1 unless said. Evaluation draws the
    noise by sample number, so that the loss does not vary from one time to the next. Images are means of pixels.
    """

    def __init__(
        self,
        model: nn.Module,
        images: ImageFacts,
        seed: int,
        *,
        beta: NonNegativeFloat = 1.0,
        reconstruction: Literal["bernoulli", "gaussian"] = "bernoulli",
        sigma: PositiveFloat | None = None,
    ) -> None:
        if missing := [part for part in NETWORKS if part not in dict(model.named_children())]:
            raise ComponentError(f"wants a model with an encoder and a decoder, such as conv_vae; this one has no {missing[0]}")
        if sigma is not None and reconstruction == "bernoulli":
            raise ComponentError("is the deviation of a gaussian; a bernoulli has none", ("sigma",))
        super().__init__(model, images, seed)
        self.beta, self.sigma = beta, sigma or SIGMA
        self.distance = bernoulli if reconstruction == "bernoulli" else self.gaussian

    def forward(self, batch: Batch) -> Loss:
        """Compute the loss of a batch, with noise from the posterior of each image."""
        return self.negative_elbo(batch, torch.randn(len(batch["input"]), *self.noise_shape, device=self.scale.device))

    def score(self, prediction: Batch, batch: Batch) -> Loss:
        """Compute the loss of a batch; its noise follows from the numbers of the samples."""
        return self.negative_elbo(
            batch, standard_normal(self.seed, batch["index"].tolist(), self.noise_shape).to(self.scale.device)
        )

    def negative_elbo(self, batch: Batch, noise: Tensor) -> Loss:
        """Compute the negative evidence lower bound, with standard noise (B, latent_size) to draw from the posterior."""
        images, label = self.real(batch), self.label(batch)
        mean, log_variance = self.encode(images, label)
        logits = self.call(self.model.decoder, mean + torch.exp(log_variance / 2) * noise, label=label)
        distance = self.distance(logits.float(), pixels(images)).mean()
        divergence = kl(mean, log_variance).mean()
        scalars = {"reconstruction": distance.detach(), "kl": divergence.detach()}
        return Loss(distance + self.beta * divergence, len(images), scalars=scalars)

    def encode(self, images: Tensor, label: Tensor | None) -> tuple[Tensor, Tensor]:
        """Give mean and log variance, each (B, latent_size), of the noise that an image may have come from."""
        mean, log_variance = self.call(self.model.encoder, images, label=label)
        return mean.float(), log_variance.float()

    def gaussian(self, logits: Tensor, wanted: Tensor) -> Tensor:
        """Give the negative log likelihood (B,) of pixels under a normal distribution around their means."""
        squares = (logits.sigmoid() - wanted).square().flatten(1)
        return (squares / (2 * self.sigma**2) + math.log(self.sigma * math.sqrt(2 * math.pi))).sum(1)

    def sample(self, noise: Tensor, label: Tensor | None) -> Tensor:
        """Make images from noise (B, latent_size)."""
        return self.call(self.model.decoder, noise, label=label).float().sigmoid() * 2 - 1

    def show_eval(self, batch: Batch, prediction: Batch) -> Mapping[str, Picture]:
        """Draw samples, interpolations, and images of the data each beside what their noise's mean gives back."""
        some = {word: values[: ROWS * COLUMNS // 2] for word, values in batch.items()}
        real, label = self.real(some), self.label(some)
        again = self.sample(self.encode(real, label)[0], label)
        pairs = as_bytes(torch.stack((real, again), 1).flatten(0, 1))
        return {**super().show_eval(batch, prediction), "reconstructions": Grid(pairs.cpu().numpy(), COLUMNS)}

    def remarks(self, scalars: Mapping[str, float]) -> Iterator[str]:
        """Warn of a posterior that has collapsed, beside what every generator may suffer."""
        yield from super().remarks(scalars)
        if scalars.get("train/kl", math.inf) < SILENT:
            yield (
                f"the noise says next to nothing of the images: kl is {scalars['train/kl']:.2f} nats an image; "
                "if that lasts, the posterior has collapsed: lower task.beta or the learning rate"
            )

    def verify(self, batch: Batch) -> None:
        """Refuse an encoder whose noise is not the decoder's, beside what every generator must keep."""
        super().verify(batch)
        for what, found in zip(("mean", "log variance"), self.encode(self.real(batch), self.label(batch)), strict=True):
            if found.shape[1:] != self.noise_shape:
                raise ComponentError(
                    f"its encoder gives a {what} of shape {tuple(found.shape[1:])}, its decoder reads {self.noise_shape}"
                )


def pixels(images: Tensor) -> Tensor:
    """Turn images from -1 to 1 into pixels from 0 to 1; outside of them a cross-entropy has no least value."""
    return ((images.float() + 1) / 2).clamp(0, 1)


def bernoulli(logits: Tensor, wanted: Tensor) -> Tensor:
    """Give the cross-entropy (B,) of pixels from 0 to 1, summed over an image."""
    return F.binary_cross_entropy_with_logits(logits, wanted, reduction="none").flatten(1).sum(1)


def kl(mean: Tensor, log_variance: Tensor) -> Tensor:
    """Give the divergence (B,) of normal distributions from the standard one, in nats."""
    return (mean.square() + log_variance.exp() - 1 - log_variance).sum(1) / 2
