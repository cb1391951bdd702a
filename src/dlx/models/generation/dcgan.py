"""The convolutional GAN of Radford et al. 2016."""

from __future__ import annotations

from itertools import pairwise
from typing import Literal

from pydantic import PositiveInt
from torch import Tensor, nn
from torch.nn.utils.parametrize import is_parametrized

from dlx.models.generation.shared import GAN, JoinLabel, Projection, classes, halvings, normalized
from dlx.registry import models

Norm = Literal["batch", "instance", "layer", "spectral", "none"]


class Generator(nn.Module):
    """Noise to a small map, which transposed convolutions double: (B, latent_size), (B,) -> (B, C, H, W)."""

    def __init__(self, input_shape: list[int], latent_size: int, num_classes: int, widths: list[int], side: int) -> None:
        super().__init__()
        self.join = JoinLabel(num_classes)
        # The paper's first transposed convolution meets a single pixel; so it is a matrix.
        layers: list[nn.Module] = [
            nn.Linear(latent_size + num_classes, widths[0] * side**2, bias=False),
            nn.Unflatten(1, (widths[0], side, side)),
        ]
        for inputs, outputs in pairwise(widths):
            layers += [*_active(inputs), nn.ConvTranspose2d(inputs, outputs, 4, 2, 1, bias=False)]
        last = nn.ConvTranspose2d(widths[-1], input_shape[0], 4, 2, 1)
        self.layers = nn.Sequential(*layers, *_active(widths[-1]), last, nn.Tanh())

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        return self.layers(self.join(noise, label))


class Discriminator(nn.Module):
    """Strided convolutions and one linear map: (B, C, H, W), (B,) -> (B,)."""

    def __init__(self, input_shape: list[int], num_classes: int, widths: list[int], side: int, norm: Norm) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise([input_shape[0], *widths]):
            means = _norm(norm, outputs) if layers else None  # the paper normalises neither images nor the first map
            convolution = nn.Conv2d(inputs, outputs, 4, 2, 1, bias=means is None)
            layers += [
                normalized(convolution, norm == "spectral"),
                *([means] if means else []),
                nn.LeakyReLU(0.2, inplace=True),
            ]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.head = Projection(widths[-1] * side**2, num_classes, norm == "spectral")

    def forward(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        return self.head(self.layers(image), label)


def _active(channels: int) -> list[nn.Module]:
    return [nn.BatchNorm2d(channels), nn.ReLU(inplace=True)]


def _norm(kind: Norm, channels: int) -> nn.Module | None:
    if kind == "batch":
        return nn.BatchNorm2d(channels)
    if kind == "instance":
        return nn.InstanceNorm2d(channels, affine=True)
    return nn.GroupNorm(1, channels) if kind == "layer" else None


def _initialize(module: nn.Module) -> None:
    """Draw weights as the paper does: a deviation of 0.02, around 1 where they scale a normalisation."""
    if is_parametrized(module):
        return  # spectral normalisation sets the scale itself
    if isinstance(module, nn.Conv2d | nn.ConvTranspose2d | nn.Linear | nn.Embedding):
        nn.init.normal_(module.weight, 0.0, 0.02)
    elif isinstance(module, nn.BatchNorm2d | nn.InstanceNorm2d | nn.GroupNorm):
        nn.init.normal_(module.weight, 1.0, 0.02)
    for name, parameter in module.named_parameters(recurse=False):
        if name == "bias":
            nn.init.zeros_(parameter)


@models("dcgan")
class DCGAN(GAN):
    """The convolutional GAN of Radford et al. 2016, for square images of 28, 32, 64 pixels and the like.

    noise (B, latent_size), label (B,) -> image (B, C, H, W) from -1 to 1. "Unsupervised Representation Learning with Deep
    Convolutional GANs". `width` is the number of channels next to the image, which doubles whenever the map halves; the
    paper's is 128. `conditional` joins the one-hot label to the noise, and the discriminator projects it (Miyato & Koyama
    2018). `discriminator_norm`: wgan_gp wants one that keeps samples apart (layer, instance, none), so not batch.
    """

    def __init__(
        self,
        input_shape: list[int],
        num_classes: int | None = None,
        *,
        latent_size: PositiveInt = 100,
        width: PositiveInt = 64,
        conditional: bool = False,
        discriminator_norm: Norm = "batch",
    ) -> None:
        side, times = halvings(input_shape)
        widths, told = [width * 2**i for i in range(times)], classes(conditional, num_classes)
        generator = Generator(input_shape, latent_size, told, widths[::-1], side)
        discriminator = Discriminator(input_shape, told, widths, side, discriminator_norm)
        super().__init__(generator.apply(_initialize), discriminator.apply(_initialize), latent_size, conditional)
