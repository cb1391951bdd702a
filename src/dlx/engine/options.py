"""What the config's `trainer` section may say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated

from pydantic import Field, PositiveFloat, PositiveInt

SPACING = 100  # steps between checkpoints where epochs are shorter: durable writing takes as long as many small steps


@dataclass(frozen=True, kw_only=True)
class TrainerOptions:
    """The config's `trainer` section.

    accumulate: micro-batches to one step. clip_norm: largest norm of a part's gradients. ema: decay of the moving
    average of the parameters. evaluate_every, save_every, log_every: steps; evaluation is after every epoch unless
    said, and a checkpoint follows an evaluation when SPACING steps have gone by. monitor: the number that chooses the
    best checkpoint. early_stopping: evaluations without a new best before training ends. keep: recent checkpoints kept
    beside the best.
    """

    accumulate: PositiveInt = 1
    clip_norm: PositiveFloat | None = None
    ema: Annotated[float, Field(gt=0, lt=1)] | None = None
    evaluate_every: PositiveInt | None = None
    save_every: PositiveInt | None = None
    log_every: PositiveInt = 50
    monitor: str | None = None
    early_stopping: PositiveInt | None = None
    keep: PositiveInt = 1
