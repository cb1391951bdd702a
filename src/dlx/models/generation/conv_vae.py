"""A convolutional variational autoencoder for small images."""

from __future__ import annotations

from itertools import pairwise

from pydantic import PositiveInt
from torch import Tensor, nn

from dlx.models.generation.shared import JoinLabel, classes, halvings
from dlx.registry import models


class Encoder(nn.Module):
    """Strided convolutions and one hidden layer: (B, C, H, W), (B,) -> mean and log variance, each (B, latent_size)."""

    def __init__(self, input_shape: list[int], latent_size: int, num_classes: int, widths: list[int], hidden: int) -> None:
        super().__init__()
        side = input_shape[1] // 2 ** len(widths)
        layers: list[nn.Module] = []
        for inputs, outputs in pairwise([input_shape[0], *widths]):
            layers += [nn.Conv2d(inputs, outputs, 4, 2, 1), nn.ReLU(inplace=True)]
        self.layers = nn.Sequential(*layers, nn.Flatten())
        self.join = JoinLabel(num_classes)
        self.head = nn.Sequential(
            nn.Linear(widths[-1] * side**2 + num_classes, hidden), nn.ReLU(inplace=True), nn.Linear(hidden, 2 * latent_size)
        )

    def forward(self, image: Tensor, label: Tensor | None = None) -> tuple[Tensor, Tensor]:
        mean, log_variance = self.head(self.join(self.layers(image), label)).chunk(2, 1)
        return mean, log_variance


class Decoder(nn.Module):
    """The encoder's way back: (B, latent_size), (B,) -> logits (B, C, H, W)."""

    def __init__(self, input_shape: list[int], latent_size: int, num_classes: int, widths: list[int], hidden: int) -> None:
        super().__init__()
        side = input_shape[1] // 2 ** len(widths)
        self.join = JoinLabel(num_classes)
        layers: list[nn.Module] = [nn.Linear(latent_size + num_classes, hidden), nn.ReLU(inplace=True)]
        layers += [nn.Linear(hidden, widths[-1] * side**2), nn.Unflatten(1, (widths[-1], side, side))]
        for inputs, outputs in pairwise([*widths[::-1], input_shape[0]]):
            layers += [nn.ReLU(inplace=True), nn.ConvTranspose2d(inputs, outputs, 4, 2, 1)]
        self.layers = nn.Sequential(*layers)

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        return self.layers(self.join(noise, label))


@models("conv_vae")
class ConvVAE(nn.Module):
    """A convolutional variational autoencoder for square images of 8, 28, 32, 64 pixels and the like (Kingma & Welling 2014).

    `encoder`: image (B, C, H, W) from -1 to 1, label (B,) -> mean and log variance of the noise, each (B, latent_size);
    `decoder`, which is `forward` too: noise (B, latent_size), label -> logits (B, C, H, W), the sigmoid of which is the
    pixel from 0 to 1. `width` is the number of channels next to the image, which doubles whenever the map halves.
    `conditional` joins the one-hot label to the noise and to what the encoder saw (Sohn et al. 2015).
    """

    def __init__(
        self,
        input_shape: list[int],
        num_classes: int | None = None,
        *,
        latent_size: PositiveInt = 16,
        width: PositiveInt = 32,
        hidden: PositiveInt = 256,
        conditional: bool = False,
    ) -> None:
        super().__init__()
        told, widths = classes(conditional, num_classes), [width * 2**i for i in range(halvings(input_shape)[1])]
        self.latent_size, self.conditional = latent_size, conditional
        self.encoder = Encoder(input_shape, latent_size, told, widths, hidden)
        self.decoder = Decoder(input_shape, latent_size, told, widths, hidden)

    def forward(self, noise: Tensor, label: Tensor | None = None) -> Tensor:
        return self.decoder(noise, label)
