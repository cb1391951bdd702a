"""Broadcasted residual networks of keywords."""

from __future__ import annotations

import torch.nn.functional as F
from pydantic import PositiveFloat
from torch import Tensor, nn

from dlx.layers.lengths import inside
from dlx.layers.normalization import Rate
from dlx.models.speech.blocks import halved, lengths, silenced
from dlx.registry import models

# B: clips, C: channels, F: features, T: steps
STEM, WIDTHS, BLOCKS, STRIDES, DILATIONS, LAST = 16, (8, 12, 16, 20), (2, 2, 4, 4), (1, 2, 2, 1), (1, 2, 4, 8), 32
BANDS = 5  # of the features, each normalised on its own


class BandNorm(nn.Module):
    """Normalise each channel within bands of features (Chang et al. 2021, sub-spectral normalisation): (B, C, F, T)."""

    def __init__(self, channels: int, features: int) -> None:
        super().__init__()
        self.bands = next(count for count in range(BANDS, 0, -1) if features % count == 0)
        self.norm = nn.BatchNorm2d(channels * self.bands)

    def forward(self, maps: Tensor) -> Tensor:
        size, channels, features, steps = maps.shape
        banded = maps.reshape(size, channels * self.bands, features // self.bands, steps)
        return self.norm(banded).view(size, channels, features, steps)


class Block(nn.Module):
    """A residual block whose second path is the mean over the features, and is broadcast over them (figure 2)."""

    def __init__(self, channels: int, width: int, features: int, stride: int, dilation: int, dropout: float) -> None:
        super().__init__()
        self.widen = None
        if channels != width or stride > 1:  # a transition, which adds nothing of its input
            self.widen = nn.Sequential(nn.Conv2d(channels, width, 1, bias=False), nn.BatchNorm2d(width), nn.ReLU())
        self.across = nn.Sequential(
            nn.Conv2d(width, width, (3, 1), (stride, 1), (1, 0), groups=width, bias=False), BandNorm(width, features)
        )
        self.along = nn.Conv2d(width, width, (1, 3), padding=(0, dilation), dilation=(1, dilation), groups=width, bias=False)
        self.norm, self.mix = nn.BatchNorm2d(width), nn.Conv2d(width, width, 1)
        self.dropout = nn.Dropout2d(dropout)

    def forward(self, maps: Tensor, mask: Tensor) -> Tensor:
        wide = maps if self.widen is None else self.widen(maps)
        across = self.across(wide)
        mean = across.mean(2, keepdim=True) * mask
        along = self.dropout(self.mix(F.silu(self.norm(self.along(mean)))))
        whole = across + along
        return (whole if self.widen is not None else whole + maps).relu()


@models("bc_resnet")
class BCResNet(nn.Module):
    """A small residual network of keywords that spares work by means over features (BC-ResNet, Kim et al. 2021).

    `scale` 1 to 8 are the paper's. input (B, T, F), length (B,) -> (B, num_classes). What lies behind a clip's end changes
    nothing.
    """

    def __init__(self, num_features: int, num_classes: int, *, scale: PositiveFloat = 2.0, dropout: Rate = 0.1) -> None:
        super().__init__()
        stem, last = round(STEM * scale), round(LAST * scale)
        self.stem = nn.Sequential(nn.Conv2d(1, stem, 5, (2, 1), 2, bias=False), nn.BatchNorm2d(stem), nn.ReLU())
        self.blocks = nn.ModuleList()
        channels, features = stem, halved(num_features)
        for width, count, stride, dilation in zip(WIDTHS, BLOCKS, STRIDES, DILATIONS, strict=True):
            features = halved(features) if stride == 2 else features
            for number in range(count):
                made = round(width * scale)
                self.blocks.append(Block(channels, made, features, 1 if number else stride, dilation, dropout))
                channels = made
        kernel = min(5, features)
        self.join = nn.Conv2d(channels, channels, (kernel, 5), padding=(0, 2), groups=channels, bias=False)
        self.widen = nn.Sequential(nn.Conv2d(channels, last, 1, bias=False), nn.BatchNorm2d(last), nn.ReLU())
        self.output = nn.Linear(last, num_classes)

    def forward(self, input: Tensor, length: Tensor | None = None) -> Tensor:
        steps = lengths(input, length)
        mask = inside(input.shape[1], steps)[:, None, None]  # (B, 1, 1, T)
        maps = self.stem(input.transpose(1, 2)[:, None])
        for block in self.blocks:
            maps = block(maps, mask)
        maps = self.widen(self.join(maps * mask)).mean(2)
        return self.output(silenced(maps, steps).sum(2) / steps[:, None])
