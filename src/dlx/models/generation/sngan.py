"""The spectrally normalised residual GAN of Miyato et al. 2018."""

from __future__ import annotations

import math

import torch.nn.functional as F
from pydantic import PositiveInt
from torch import Tensor, nn

from dlx.models.generation.shared import GAN, Projection, classes, expect_label, halvings, normalized
from dlx.registry import models

LARGEST_END = 8  # pixels: from here on the discriminator halves no more
PLAIN_BLOCKS = 2  # that do not halve


class ClassBatchNorm(nn.Module):
    """Batch normalisation with a scale and a shift for each class: (B, channels, H, W), (B,) -> the same."""

    def __init__(self, channels: int, num_classes: int) -> None:
        super().__init__()
        self.norm = nn.BatchNorm2d(channels, affine=not num_classes)
        self.scale = nn.Embedding(num_classes, channels) if num_classes else None
        self.shift = nn.Embedding(num_classes, channels) if num_classes else None
        if self.scale is not None and self.shift is not None:
            nn.init.ones_(self.scale.weight)
            nn.init.zeros_(self.shift.weight)

    def forward(self, input: Tensor, label: Tensor | None) -> Tensor:
        output = self.norm(input)
        if self.scale is None or self.shift is None:
            return output
        return output * self.scale(label)[:, :, None, None] + self.shift(label)[:, :, None, None]


class UpBlock(nn.Module):
    """A residual block that doubles: (B, inputs, H, W), (B,) -> (B, outputs, 2 H, 2 W)."""

    def __init__(self, inputs: int, outputs: int, num_classes: int) -> None:
        super().__init__()
        self.norm1, self.norm2 = ClassBatchNorm(inputs, num_classes), ClassBatchNorm(outputs, num_classes)
        self.conv1, self.conv2 = _convolution(inputs, outputs, 3), _convolution(outputs, outputs, 3)
        self.shortcut = _convolution(inputs, outputs, 1)

    def forward(self, input: Tensor, label: Tensor | None) -> Tensor:
        inner = self.conv1(_double(F.relu(self.norm1(input, label))))
        # A 1x1 convolution gives the same before pixels are repeated as after, for a quarter of the work.
        return self.conv2(F.relu(self.norm2(inner, label))) + _double(self.shortcut(input))


class DownBlock(nn.Module):
    """A spectrally normalised residual block: (B, inputs, H, W) -> (B, outputs, H, W), or half of it.

    The first of a network reads the image itself, not its positive part.
    """

    def __init__(self, inputs: int, outputs: int, halve: bool, first: bool = False) -> None:
        super().__init__()
        self.halve, self.first = halve, first
        self.conv1 = normalized(_convolution(inputs, outputs, 3), True)
        self.conv2 = normalized(_convolution(outputs, outputs, 3), True)
        changes = inputs != outputs or halve
        self.shortcut = normalized(_convolution(inputs, outputs, 1), True) if changes else nn.Identity()

    def forward(self, input: Tensor) -> Tensor:
        inner = self.conv2(F.relu(self.conv1(input if self.first else F.relu(input))))
        if not self.halve:
            return inner + self.shortcut(input)
        return F.avg_pool2d(inner, 2) + self.shortcut(F.avg_pool2d(input, 2))


class Generator(nn.Module):
    """Noise to a small map, which residual blocks double: (B, latent_size), (B,) -> (B, C, H, W)."""

    def __init__(self, input_shape: list[int], latent_size: int, num_classes: int, width: int) -> None:
        super().__init__()
        side, times = halvings(input_shape)
        self.num_classes = num_classes
        self.first = nn.Sequential(nn.Linear(latent_size, width * side**2), nn.Unflatten(1, (width, side, side)))
        self.blocks = nn.ModuleList(UpBlock(width, width, num_classes) for _ in range(times))
        self.norm = nn.BatchNorm2d(width)
        self.last = nn.Conv2d(width, input_shape[0], 3, padding=1)

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        label = expect_label(label, self.num_classes)
        state = self.first(noise)
        for block in self.blocks:
            state = block(state, label)
        return self.last(F.relu(self.norm(state))).tanh()


class Discriminator(nn.Module):
    """Residual blocks, the sum over all pixels, one linear map: (B, C, H, W), (B,) -> (B,)."""

    def __init__(self, input_shape: list[int], num_classes: int, width: int) -> None:
        super().__init__()
        times = math.ceil(math.log2(input_shape[1] / LARGEST_END))
        halves = [True] * max(1, times) + [False] * PLAIN_BLOCKS
        blocks = [DownBlock(width if i else input_shape[0], width, half, first=not i) for i, half in enumerate(halves)]
        self.blocks = nn.Sequential(*blocks, nn.ReLU())
        self.head = Projection(width, num_classes, spectral=True)

    def forward(self, image: Tensor, label: Tensor | None = None) -> Tensor:
        return self.head(self.blocks(image).sum((2, 3)), label)


def _convolution(inputs: int, outputs: int, size: int) -> nn.Conv2d:
    """Make a convolution that keeps the sides, drawn as in the authors' code: shortcuts are not followed by a ReLU."""
    layer = nn.Conv2d(inputs, outputs, size, padding=size // 2)
    nn.init.xavier_uniform_(layer.weight, math.sqrt(2) if size > 1 else 1.0)
    return layer


def _double(input: Tensor) -> Tensor:
    return F.interpolate(input, scale_factor=2.0)


@models("sngan")
class SNGAN(GAN):
    """A residual GAN with spectral normalisation (Miyato et al. 2018), for square images of 28, 32, 64 pixels and the like.

    noise (B, latent_size), label (B,) -> image (B, C, H, W) from -1 to 1. "Spectral Normalization for Generative
    Adversarial Networks"; trained with the hinge loss. The paper's widths at 32x32 are 256 and 128. `conditional` gives the
    generator's normalisation a scale and a shift for each class, and projects the label in the discriminator (Miyato &
    Koyama 2018).
    """

    def __init__(
        self,
        input_shape: list[int],
        num_classes: int | None = None,
        *,
        latent_size: PositiveInt = 128,
        generator_width: PositiveInt = 64,
        discriminator_width: PositiveInt = 64,
        conditional: bool = False,
    ) -> None:
        told = classes(conditional, num_classes)
        generator = Generator(input_shape, latent_size, told, generator_width)
        super().__init__(generator, Discriminator(input_shape, told, discriminator_width), latent_size, conditional)
