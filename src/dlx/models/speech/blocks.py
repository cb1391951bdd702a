"""What networks of sound share: convolutions that do not hear padding, and pooling over the steps that are none."""

from __future__ import annotations

from typing import Literal

import torch
from torch import Tensor, nn

from dlx.layers.lengths import inside, windows

# B: clips, C: channels, T: steps, F: features
Pooling = Literal["mean", "max", "attention"]


def lengths(input: Tensor, length: Tensor | None) -> Tensor:
    """Return the steps of each clip of (B, T, ...): all where no lengths are given."""
    return torch.full((len(input),), input.shape[1], device=input.device) if length is None else length


def silenced(maps: Tensor, length: Tensor) -> Tensor:
    """Set what lies behind the clips' ends to 0, in maps (B, C, T, F) or in (B, C, T)."""
    mask = inside(maps.shape[2], length)[:, None]
    return maps * (mask[..., None] if maps.ndim == 4 else mask)


class Convolution(nn.Module):
    """A convolution over steps and features with batch norm and ReLU; behind the clips' ends its maps are 0.

    (B, C, T, F) -> (B, filters, ceil(T / stride), ceil(F / stride)), of odd kernels.
    """

    def __init__(self, channels: int, filters: int, kernel: tuple[int, int], stride: tuple[int, int]) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        padding = (kernel[0] // 2, kernel[1] // 2)
        self.convolution = nn.Conv2d(channels, filters, kernel, stride, padding, bias=False)
        self.norm = nn.BatchNorm2d(filters)

    def steps(self, length: Tensor) -> Tensor:
        """Return how many steps come out of so many."""
        return windows(length, self.kernel[0], self.stride[0], 2 * (self.kernel[0] // 2))

    def forward(self, maps: Tensor, length: Tensor) -> tuple[Tensor, Tensor]:
        shorter = self.steps(length)
        return silenced(self.norm(self.convolution(maps)).relu(), shorter), shorter


class StepPool(nn.Module):
    """Make one vector (B, size) of the steps (B, T, size) that are no padding."""

    def __init__(self, kind: Pooling, size: int) -> None:
        super().__init__()
        self.kind = kind
        self.score = nn.Linear(size, 1) if kind == "attention" else None

    def forward(self, steps: Tensor, length: Tensor) -> Tensor:
        mask = inside(steps.shape[1], length)
        if self.kind == "max":
            return steps.masked_fill(~mask[:, :, None], -torch.inf).amax(1)
        if self.score is None:
            weights = mask / mask.sum(1, keepdim=True)
        else:
            weights = self.score(steps.tanh())[:, :, 0].masked_fill(~mask, -torch.inf).softmax(1)
        return torch.einsum("bt,bts->bs", weights.to(steps.dtype), steps)


def halved(size: int, times: int = 1) -> int:
    """Return a size halved so many times, rounded up."""
    for _ in range(times):
        size = -(-size // 2)
    return size
