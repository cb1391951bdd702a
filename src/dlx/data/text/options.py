"""Settings that all data sets of texts share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from dlx.data.splits import Fraction, SplitSeed
from dlx.processors.tokenizer import Case, Kind
from dlx.registry.types import DataPath, OptionGroup


@dataclass(frozen=True)
class TextBatching(OptionGroup):
    """How many texts a training batch has, and how many pieces, padding counted: as many as neither forbids.

    Without both, 32 texts make a batch; with `tokens_per_batch` alone their number is free.
    """

    batch_size: PositiveInt | None = None
    tokens_per_batch: PositiveInt | None = None


@dataclass(frozen=True)
class TextOptions(OptionGroup):
    """How texts become codes: what they are cut into, how many pieces are known, how long a text may be."""

    tokenizer: Kind = "words"
    lowercase: Case = True
    vocabulary_size: PositiveInt = 20_000
    least_count: PositiveInt = 1
    max_length: PositiveInt = 256


@dataclass(frozen=True)
class PairOptions(OptionGroup):
    """How texts and their answers become codes, by one tokenizer for both or, with `shared_vocabulary: false`, by one each.

    `lowercase: source` reads texts in lower case and writes answers in their own; `marked` reads and writes a word with capitals
    as its lower case behind a mark. A word at the beginning of a sentence is then the one that it is within.
    """

    tokenizer: Kind = "bpe"
    lowercase: Case | Literal["source"] = False
    vocabulary_size: PositiveInt = 8_000
    shared_vocabulary: bool = True
    least_count: PositiveInt = 1
    max_length: PositiveInt = 256
    max_target_length: Annotated[int, Field(ge=3)] = 128


@dataclass(frozen=True)
class PairFiles(OptionGroup):
    """The file that training pairs are in, and those of the other splits, where they have their own."""

    train: DataPath
    val_file: DataPath | None = None
    test_file: DataPath | None = None

    def by_split(self) -> dict[str, str]:
        """Return the files that are given, by their splits."""
        files = {"train": self.train, "val": self.val_file, "test": self.test_file}
        return {split: file for split, file in files.items() if file}


@dataclass(frozen=True)
class LineOptions(OptionGroup):
    """How texts to go on with become codes; `max_length` counts the marks of begin and end."""

    tokenizer: Kind = "words"
    lowercase: Case = False
    vocabulary_size: PositiveInt = 20_000
    least_count: PositiveInt = 1
    max_length: Annotated[int, Field(ge=3)] = 256


@dataclass(frozen=True)
class SplitShares(OptionGroup):
    """The shares of the different texts that validation and test have, where the data do not say so themselves."""

    val: Fraction | None = None
    test: Fraction | None = None
    split_seed: SplitSeed = 0


@dataclass(frozen=True)
class TextSplits(OptionGroup):
    """The shares that validation and test have, or which of how many folds is the test split."""

    val: Fraction | None = None
    test: Fraction | None = None
    fold: NonNegativeInt | None = None
    folds: Annotated[int, Field(ge=2)] = 10
    split_seed: SplitSeed = 0
