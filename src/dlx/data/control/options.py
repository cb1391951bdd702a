"""Settings that all sources in environments share."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any, Literal

from pydantic import Field, NonNegativeInt, PositiveInt

from dlx.data.splits import SplitSeed
from dlx.registry.types import OptionGroup

Discount = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class EnvironmentOptions(OptionGroup):
    """Which environment of gymnasium, what it is made with, how its observations are seen, and how a policy is judged in it.

    `settings` go to `gymnasium.make`, such as `max_episode_steps` or what the environment itself takes. Images may be made
    `grey` and be resized, to a height and a width or to a square; `frame_stack` puts the last observations behind each other.
    `anew` makes the environment once more for every episode: for those that carry something over from one to the next.
    An evaluation plays `episodes`, the same ones each time, whatever the experiment's seed: they follow from `split_seed`.
    `workers` are processes that step the copies side by side: worth it from some milliseconds a frame on.
    """

    environment: str
    settings: dict[str, Any] = field(default_factory=dict)
    grey: bool = False
    resize: PositiveInt | Annotated[list[PositiveInt], Field(min_length=2, max_length=2)] | None = None
    frame_stack: PositiveInt = 1
    anew: bool = False
    episodes: PositiveInt = 20
    split_seed: SplitSeed = 0
    workers: NonNegativeInt = 0


@dataclass(frozen=True)
class PaceOptions(OptionGroup):
    """How many frames are lived through before the first batch, by chance or by the policy, and for every batch."""

    warmup: PositiveInt = 1_000
    warmup_actions: Literal["random", "policy"] = "random"
    frames_per_batch: Annotated[float, Field(gt=0)] = 1.0
