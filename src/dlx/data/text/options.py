"""Settings that all data sets of texts share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, NonNegativeInt, PositiveInt

from dlx.data.splits import Fraction, SplitSeed
from dlx.processors.text.tokenizer import Kind
from dlx.registry.types import OptionGroup


@dataclass(frozen=True)
class TextOptions(OptionGroup):
    """How texts become codes: what they are cut into, how many pieces are known, how long a text may be."""

    tokenizer: Kind = "words"
    lowercase: bool = True
    vocabulary_size: PositiveInt = 20_000
    least_count: PositiveInt = 1
    max_length: PositiveInt = 256
    batch_size: PositiveInt = 32


@dataclass(frozen=True)
class TextSplits(OptionGroup):
    """The shares that validation and test have, or which of how many folds is the test split."""

    val: Fraction | None = None
    test: Fraction | None = None
    fold: NonNegativeInt | None = None
    folds: Annotated[int, Field(ge=2)] = 10
    split_seed: SplitSeed = 0
