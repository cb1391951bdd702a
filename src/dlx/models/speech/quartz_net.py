"""Convolutions alone, along the steps of each channel and then across channels: QuartzNet."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field, PositiveInt
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.dropout import Dropout
from dlx.layers.lengths import windows
from dlx.layers.normalization import Rate
from dlx.models.speech.blocks import lengths, silenced
from dlx.models.speech.recurrent import Subsampling
from dlx.registry import models

# B: clips, C: channels, T: steps
Kernels = Annotated[tuple[PositiveInt, ...], Field(min_length=1)]


class Separable(nn.Module):
    """A convolution along the steps of each channel, one across the channels, and batch norm: (B, C, T) -> (B, filters, T')."""

    def __init__(self, channels: int, filters: int, kernel: int, stride: int = 1) -> None:
        super().__init__()
        self.kernel, self.stride = kernel, stride
        self.along = nn.Conv1d(channels, channels, kernel, stride, kernel // 2, groups=channels, bias=False)
        self.across, self.norm = nn.Conv1d(channels, filters, 1, bias=False), nn.BatchNorm1d(filters)

    def steps(self, length: Tensor) -> Tensor:
        """Return how many steps come out of so many."""
        return windows(length, self.kernel, self.stride, 2 * (self.kernel // 2))

    def forward(self, maps: Tensor, length: Tensor) -> Tensor:
        return self.norm(self.across(self.along(silenced(maps, length))))


class Block(nn.Module):
    """Some separable convolutions, and around them a shortcut across channels (figure 1)."""

    def __init__(self, width: int, kernel: int, repeats: int, dropout: float) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Separable(width, width, kernel) for _ in range(repeats))
        self.shortcut = nn.Sequential(nn.Conv1d(width, width, 1, bias=False), nn.BatchNorm1d(width))
        self.dropout = Dropout(dropout)

    def forward(self, maps: Tensor, length: Tensor) -> Tensor:
        heard = maps
        for number, layer in enumerate(self.layers):
            heard = layer(heard if number == 0 else self.dropout(heard.relu()), length)
        return self.dropout((heard + self.shortcut(maps)).relu())


@models("quartz_net")
class QuartzNet(nn.Module):
    """Convolutions alone, with logits at every step (QuartzNet, Kriman et al. 2020).

    A step hears only what is near it: by `kernel_sizes`, one block each, of `repeats` convolutions. With small ones it can hardly
    learn where in a recording a word stands. All blocks have the same `width`, where the paper doubles it; none is dilated.
    `subsampling` is how many steps of the input become one. input (B, T, F), length (B,) -> logits (B, T', V), steps (B,).
    What lies behind a clip's end changes nothing.
    """

    def __init__(
        self,
        num_features: int,
        target_vocab_size: int,
        *,
        width: PositiveInt = 256,
        kernel_sizes: Kernels = (33, 39, 51, 63, 75),
        repeats: PositiveInt = 5,
        subsampling: Subsampling = 2,
        dropout: Rate = 0.1,
    ) -> None:
        super().__init__()
        for place, kernel in enumerate(kernel_sizes):
            if kernel % 2 == 0:
                raise ComponentError("is odd, so that a step stands in the middle", ("kernel_sizes", place))
        self.enter = Separable(num_features, width, kernel_sizes[0], subsampling)
        self.blocks = nn.ModuleList(Block(width, kernel, repeats, dropout) for kernel in kernel_sizes)
        self.leave, self.dropout = Separable(width, 2 * width, kernel_sizes[-1]), Dropout(dropout)
        self.output = nn.Linear(2 * width, target_vocab_size)

    def forward(self, input: Tensor, length: Tensor | None = None) -> tuple[Tensor, Tensor]:
        whole = lengths(input, length)
        maps, left = self.dropout(self.enter(input.transpose(1, 2), whole).relu()), self.enter.steps(whole)
        for block in self.blocks:
            maps = block(maps, left)
        return self.output(self.dropout(self.leave(maps, left).relu()).transpose(1, 2)), left
