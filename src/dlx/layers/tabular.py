"""A table's columns as vectors: embeddings of numbers and of categories."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn

# B: batch, F: numeric columns, K: categorical columns, E: embedding size, N: frequencies


class PerFeatureLinear(nn.Module):
    """A linear map of its own for each column: (B, F, inputs) -> (B, F, outputs)."""

    def __init__(self, num_features: int, inputs: int, outputs: int) -> None:
        super().__init__()
        bound = 1 / math.sqrt(inputs)  # as nn.Linear begins
        self.weight = nn.Parameter(torch.empty(num_features, inputs, outputs).uniform_(-bound, bound))
        self.bias = nn.Parameter(torch.empty(num_features, 1, outputs).uniform_(-bound, bound))

    def forward(self, input: Tensor) -> Tensor:
        return torch.baddbmm(self.bias, input.transpose(0, 1), self.weight).transpose(0, 1)


class PeriodicEmbedding(nn.Module):
    """Waves of learned frequencies, a linear map and ReLU for each number: PLR of Gorishniy et al. 2022, section 3.3.

    (B, F) -> (B, F * E). Frequencies start normal with deviation `sigma`, cut at 3 `sigma` as in the authors' code:
    a far outlier would make a feature of noise.
    """

    def __init__(self, num_features: int, embedding_size: int, frequencies: int, sigma: float) -> None:
        super().__init__()
        self.frequencies = nn.Parameter(torch.empty(num_features, frequencies))
        nn.init.trunc_normal_(self.frequencies, 0.0, sigma, -3 * sigma, 3 * sigma)
        self.linear = PerFeatureLinear(num_features, 2 * frequencies, embedding_size)

    def forward(self, input: Tensor) -> Tensor:
        angle = 2 * math.pi * self.frequencies * input.unsqueeze(-1)  # (B, F, N)
        waves = torch.cat((angle.cos(), angle.sin()), -1)
        return self.linear(waves).relu().flatten(1)


class LinearEmbedding(nn.Module):
    """A linear map and ReLU for each number: LR of Gorishniy et al. 2022; (B, F) -> (B, F * E)."""

    def __init__(self, num_features: int, embedding_size: int) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.empty(num_features, embedding_size).uniform_(-1, 1))
        self.bias = nn.Parameter(torch.empty(num_features, embedding_size).uniform_(-1, 1))

    def forward(self, input: Tensor) -> Tensor:
        return (self.weight * input.unsqueeze(-1) + self.bias).relu().flatten(1)


class OneHot(nn.Module):
    """A 0 or 1 for each known code: (B, K) -> (B, sum of sizes - K); code 0, missing or unseen, is all zeros."""

    offsets: Tensor

    def __init__(self, sizes: list[int]) -> None:
        super().__init__()
        self.size = sum(sizes) - len(sizes)
        offsets = torch.tensor([0, *sizes[:-1]]).cumsum(0) - torch.arange(len(sizes))
        self.register_buffer("offsets", offsets, persistent=False)

    def forward(self, category: Tensor) -> Tensor:
        places = torch.where(category > 0, category + self.offsets, 0)
        flags = torch.zeros(len(category), self.size + 1, device=category.device)
        return flags.scatter_(1, places, 1.0)[:, 1:]


class CategoryEmbedding(nn.Module):
    """A learned vector for each known code: (B, K) -> (B, K * E); code 0, missing or unseen, is zeros."""

    def __init__(self, sizes: list[int], embedding_size: int) -> None:
        super().__init__()
        self.tables = nn.ModuleList(nn.Embedding(size, embedding_size, padding_idx=0) for size in sizes)
        self.size = len(sizes) * embedding_size

    def forward(self, category: Tensor) -> Tensor:
        return torch.cat([table(category[:, i]) for i, table in enumerate(self.tables)], -1)
