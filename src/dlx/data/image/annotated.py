"""What data sets of boxes and masks share: the facts that they ask for."""

from __future__ import annotations

from dataclasses import dataclass

from dlx.data.options import Checkpoint
from dlx.errors import ComponentError

TASKS = {"boxes": "detection", "masks": "semantic_segmentation"}


@dataclass(frozen=True)
class VisionFacts(Checkpoint):
    """What a checkpoint keeps, and what the task answers with."""

    task_target: str = ""

    def refuse_other(self, gives: str) -> None:
        """Raise ComponentError where the task wants one class or number an image."""
        if self.task_target in ("class", "number"):
            what = f"the task answers with one {self.task_target} an image, but the data gives {gives}"
            raise ComponentError(f"{what}; its task is {TASKS[gives]}")
