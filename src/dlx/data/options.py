"""Settings and facts that many data sets share."""

from __future__ import annotations

from dataclasses import dataclass

from pydantic import PositiveInt

from dlx.core import Processor
from dlx.registry.types import FactGroup, OptionGroup


@dataclass(frozen=True)
class Checkpoint(FactGroup):
    """What a data set is built again for a checkpoint by: its processor, and the only splits that are wanted."""

    processor: Processor | None = None
    wanted_splits: frozenset[str] | None = None


@dataclass(frozen=True)
class Batching(OptionGroup):
    """How many samples a training batch has, and whether a smaller last one is left out."""

    batch_size: PositiveInt = 32
    drop_last: bool = False
