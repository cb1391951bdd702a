"""A multilayer perceptron for tables of numbers and categories."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.activation import Activation, make_activation
from dlx.layers.composite import Residual
from dlx.layers.dropout import Dropout
from dlx.layers.normalization import Rate
from dlx.layers.tabular import CategoryEmbedding, LinearEmbedding, OneHot, PeriodicEmbedding
from dlx.registry import models
from dlx.registry.types import OptionGroup

Normalization = Literal["none", "batch", "layer"]


@dataclass(frozen=True)
class Embeddings(OptionGroup):
    """How numbers and categories become vectors."""

    numeric_embedding: Literal["none", "linear", "periodic"] = "none"
    embedding_size: PositiveInt = 24
    frequencies: PositiveInt = 48
    sigma: PositiveFloat = 0.1
    category_embedding_size: PositiveInt | Literal["one_hot"] = "one_hot"


@models("mlp")
class MLP(nn.Module):
    """Hidden layers over a table's numbers and categories.

    input (B, num_features), category (B, K) -> (B, num_classes), else (B, num_outputs).
    `numeric_embedding: periodic` is PLR of Gorishniy et al. 2022, "On Embeddings for Numerical Features in Tabular
    Deep Learning", for standardised numbers: `sigma` is the deviation of its first frequencies.
    """

    def __init__(
        self,
        num_features: int,
        category_sizes: list[int] | None = None,
        num_classes: int | None = None,
        num_outputs: int | None = None,
        *,
        hidden: tuple[PositiveInt, ...] = (128, 128),
        activation: Activation = "relu",
        dropout: Rate = 0.0,
        normalization: Normalization = "none",
        residual: bool = False,
        embeddings: Embeddings = Embeddings(),
    ) -> None:
        super().__init__()
        outputs = num_classes or num_outputs
        if not outputs:
            raise ComponentError("model 'mlp' needs the fact 'num_classes' or 'num_outputs'")
        self.numbers, size = _numbers(embeddings, num_features)
        self.categories = _categories(category_sizes or [], embeddings.category_embedding_size)
        size += self.categories.size if self.categories else 0
        if not size:
            raise ComponentError("model 'mlp' needs numbers or categories; the data offers neither")
        blocks = []
        for width in hidden:
            blocks += _block(size, width, activation, dropout, normalization, residual)
            size = width
        self.layers = nn.Sequential(*blocks, nn.Linear(size, outputs))

    def forward(self, input: Tensor, category: Tensor | None = None) -> Tensor:
        numbers = self.numbers(input) if self.numbers else input
        if not self.categories:
            return self.layers(numbers)
        return self.layers(torch.cat((numbers, self.categories(category)), -1))


def _numbers(wanted: Embeddings, num_features: int) -> tuple[nn.Module | None, int]:
    kind, size = wanted.numeric_embedding, wanted.embedding_size
    if kind == "none" or not num_features:
        return None, num_features
    if kind == "linear":
        return LinearEmbedding(num_features, size), num_features * size
    return PeriodicEmbedding(num_features, size, wanted.frequencies, wanted.sigma), num_features * size


def _categories(sizes: list[int], embedding_size: int | Literal["one_hot"]) -> OneHot | CategoryEmbedding | None:
    if not sizes:
        return None
    return OneHot(sizes) if isinstance(embedding_size, str) else CategoryEmbedding(sizes, embedding_size)


def _block(
    inputs: int, outputs: int, activation: Activation, dropout: float, normalization: Normalization, residual: bool
) -> list[nn.Module]:
    """Give the modules of one hidden layer; with `residual` as one, whose input is added where the sizes agree."""
    block: list[nn.Module] = [nn.Linear(inputs, outputs)]
    if normalization != "none":
        block.append(nn.BatchNorm1d(outputs) if normalization == "batch" else nn.LayerNorm(outputs))
    block.append(make_activation(activation, (outputs,)))
    if dropout:
        block.append(Dropout(dropout))
    return [Residual(nn.Sequential(*block), None)] if residual and inputs == outputs else block
