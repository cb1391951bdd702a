"""Standardised images to those that a network's published weights expect."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.models.torchvision_parts import replace_first_convolution

IMAGENET = ([0.485, 0.456, 0.406], [0.229, 0.224, 0.225])


class Normalization(nn.Module):
    """Map standardised images to what the weights expect, by one multiply-add; one channel becomes as many as they want.

    With x = (pixel - data_mean) / data_std, give (pixel - mean) / std, pixels in 0..1.
    """

    scale: Tensor
    shift: Tensor

    def __init__(self, data_mean: list[float], data_std: list[float], mean: list[float], std: list[float]) -> None:
        super().__init__()
        own, wanted = torch.tensor([data_mean, data_std]), torch.tensor([mean, std])
        # Not in the checkpoint: they follow from the facts, and the names stay those of the published file.
        self.register_buffer("scale", (own[1] / wanted[1]).view(1, -1, 1, 1), persistent=False)
        self.register_buffer("shift", ((own[0] - wanted[0]) / wanted[1]).view(1, -1, 1, 1), persistent=False)

    def forward(self, input: Tensor) -> Tensor:
        return torch.addcmul(self.shift, input, self.scale)


class Repeat(nn.Module):
    """Give every pixel's one value to all channels."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.channels = channels

    def forward(self, input: Tensor) -> Tensor:
        return input.expand(-1, self.channels, -1, -1)


def adapted(
    backbone: nn.Module,
    channels: int,
    own: tuple[list[float] | None, list[float] | None],
    wanted: tuple[list[float], list[float]] | None,
) -> nn.Module:
    """Return what stands before a backbone of colour images, whose first convolution is replaced where it cannot stay.

    `own` are the mean and deviation of the data's channels, `wanted` those of the weights; None where it has none.
    """
    if wanted is None:
        if channels != 3:
            replace_first_convolution(backbone, channels)
        return nn.Identity()
    if channels not in (1, 3):
        raise ComponentError(f"its weights read images of 1 or 3 channels, not {channels}", ("weights",))
    if own[0] is None or own[1] is None:
        return Repeat(3) if channels == 1 else nn.Identity()
    return Normalization(own[0], own[1], *wanted)
