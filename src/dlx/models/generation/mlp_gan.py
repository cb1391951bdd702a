"""The GAN of Goodfellow et al. 2014: two multilayer perceptrons."""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import pairwise

from pydantic import PositiveInt
from torch import Tensor, nn

from dlx.layers.building import IMAGE, require
from dlx.layers.dropout import Dropout
from dlx.layers.normalization import Rate
from dlx.models.generation.shared import GAN, JoinLabel, classes
from dlx.registry import models


class Generator(nn.Module):
    """Hidden layers with batch normalisation and ReLU, then tanh: (B, latent_size), (B,) -> (B, C, H, W)."""

    def __init__(self, input_shape: list[int], latent_size: int, num_classes: int, hidden: Sequence[int]) -> None:
        super().__init__()
        self.join = JoinLabel(num_classes)
        sizes = [latent_size + num_classes, *hidden]
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise(sizes):  # unnormalised, it still gave one image for all digits after 1000 steps
            layers += [nn.Linear(inputs, outputs, bias=False), nn.BatchNorm1d(outputs), nn.ReLU(inplace=True)]
        last = nn.Linear(sizes[-1], math.prod(input_shape))
        self.layers = nn.Sequential(*layers, last, nn.Tanh(), nn.Unflatten(1, tuple(input_shape)))

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        return self.layers(self.join(noise, label))


class Discriminator(nn.Module):
    """Hidden layers with leaky ReLU over all pixels: (B, C, H, W), (B,) -> (B,)."""

    def __init__(self, input_shape: list[int], num_classes: int, hidden: Sequence[int], dropout: float) -> None:
        super().__init__()
        self.join = JoinLabel(num_classes)
        sizes, layers = [math.prod(input_shape) + num_classes, *hidden], []
        for pair in pairwise(sizes):
            layers += [nn.Linear(*pair), nn.LeakyReLU(0.2, inplace=True), *([Dropout(dropout)] if dropout else [])]
        self.layers = nn.Sequential(*layers, nn.Linear(sizes[-1], 1))

    def forward(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        return self.layers(self.join(image.flatten(1), label)).squeeze(1)


@models("mlp_gan")
class MLPGAN(GAN):
    """Two multilayer perceptrons as a GAN (Goodfellow et al. 2014), for images as small as digits of 8x8.

    noise (B, latent_size), label (B,) -> image (B, C, H, W) from -1 to 1. "Generative Adversarial Nets", with leaky ReLU in
    place of the discriminator's maxout, and batch normalisation in the generator. `conditional` joins the one-hot label to
    the noise and to the pixels (Mirza & Osindero 2014). `dropout` is within the discriminator.
    """

    def __init__(
        self,
        input_shape: list[int],
        num_classes: int | None = None,
        *,
        latent_size: PositiveInt = 32,
        generator_hidden: tuple[PositiveInt, ...] = (128, 256),
        discriminator_hidden: tuple[PositiveInt, ...] = (256, 128),
        dropout: Rate = 0.0,
        conditional: bool = False,
    ) -> None:
        require(tuple(input_shape), IMAGE)
        told = classes(conditional, num_classes)
        generator = Generator(input_shape, latent_size, told, generator_hidden)
        discriminator = Discriminator(input_shape, told, discriminator_hidden, dropout)
        super().__init__(generator, discriminator, latent_size, conditional)
