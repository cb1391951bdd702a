"""A small network that learns fast (Jordan 2024, "94% on CIFAR-10 in 3.29 Seconds on a Single GPU")."""

from __future__ import annotations

from itertools import pairwise
from typing import Annotated

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.building import IMAGE, require
from dlx.registry import models

Widths = Annotated[tuple[PositiveInt, ...], Field(min_length=3, max_length=3)]


class Whitening(nn.Module):
    """A 2x2 convolution, not learned, whose outputs are the patches' uncorrelated components, each with both signs.

    (B, C, H, W) -> (B, 8 C, H - 1, W - 1). Its weights come from the first training batch it meets: enough patches for a
    covariance of 4 C numbers.
    """

    weight: Tensor
    fitted: Tensor

    def __init__(self, channels: int, epsilon: float = 5e-4) -> None:
        super().__init__()
        size, self.epsilon = 4 * channels, epsilon
        weight = torch.cat((torch.eye(size), -torch.eye(size))).view(2 * size, channels, 2, 2)
        self.register_buffer("weight", weight)
        self.register_buffer("fitted", torch.tensor(False))
        self.bias = nn.Parameter(torch.zeros(2 * size))
        self.is_fitted = False  # spares a look at the buffer in every step

    def forward(self, input: Tensor) -> Tensor:
        if self.training and not self.is_fitted:
            self.fit(input)
        # The smallest components are differences of neighbouring pixels, some forty times enlarged: bfloat16 would drown them.
        with torch.autocast(input.device.type, enabled=False):
            return F.conv2d(input.float(), self.weight, self.bias)

    @torch.no_grad()
    def fit(self, images: Tensor) -> None:
        """Take the components of a batch's patches, unless a checkpoint brought them."""
        self.is_fitted = True
        if bool(self.fitted):
            return
        # Neighbouring pixels are nearly equal: in bfloat16 their covariance would have negative values. Autocast leaves double
        # precision alone, and every machine's CPU has it.
        patches = F.unfold(images.cpu().double(), 2).transpose(1, 2).reshape(-1, len(self.weight) // 2)
        values, vectors = torch.linalg.eigh(patches.T @ patches / len(patches))  # about zero, as the paper's code has it
        components = (vectors / (values.clamp_min(0) + self.epsilon).sqrt()).T.reshape(-1, *self.weight.shape[1:]).flip(0)
        self.weight.copy_(torch.cat((components, -components)))
        self.fitted.fill_(True)


class FastGroup(nn.Module):
    """Convolution, pooling and convolution: (B, inputs, H, W) -> (B, outputs, H // 2, W // 2)."""

    def __init__(self, inputs: int, outputs: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1, bias=False)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1, bias=False)
        self.norm1, self.norm2 = _norm(outputs), _norm(outputs)
        for conv in (self.conv1, self.conv2):  # as much of the identity as fits, the rest at random
            nn.init.dirac_(conv.weight[: conv.in_channels])

    def forward(self, input: Tensor) -> Tensor:
        inner = F.gelu(self.norm1(F.max_pool2d(self.conv1(input), 2)))
        return F.gelu(self.norm2(self.conv2(inner)))


def _norm(channels: int) -> nn.BatchNorm2d:
    # A scale would be learned away by the next layer; the statistics move fast, as there are few steps.
    norm = nn.BatchNorm2d(channels, eps=1e-12, momentum=0.4)
    norm.weight.requires_grad_(False)
    return norm


@models("fast_cnn")
class FastCNN(nn.Module):
    """A whitening layer and six convolutions that learn in few epochs; 2 M parameters.

    input (B, C, H, W) -> (B, num_classes). Its training wants a large lr, Nesterov momentum and label smoothing.
    """

    def __init__(
        self,
        num_classes: int,
        input_shape: list[int],
        *,
        widths: Widths = (64, 256, 256),
    ) -> None:
        super().__init__()
        require(tuple(input_shape), IMAGE)
        if min(input_shape[1:]) < 9:
            raise ComponentError(f"wants images of at least 9x9, not {input_shape[1]}x{input_shape[2]}")
        sizes = [8 * input_shape[0], *widths]
        groups = [FastGroup(a, b) for a, b in pairwise(sizes)]
        self.backbone = nn.Sequential(Whitening(input_shape[0]), nn.GELU(), *groups)
        self.head = nn.Linear(widths[-1], num_classes, bias=False)

    def forward(self, input: Tensor) -> Tensor:
        return self.head(self.backbone(input).amax((2, 3))) / 9
