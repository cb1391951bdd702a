"""The learning rate over a run."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


class Schedule:
    """The factor on the learning rate as training goes on."""

    def factor(self, step: int) -> float:
        """Return the factor for step `step`, counted from 0."""
        return 1.0

    def observe(self, value: float, better: bool) -> None:
        """Called after an evaluation with the monitored number, and whether it is the best so far."""

    def state_dict(self) -> dict[str, Any]:
        """Return what does not follow from the step, as JSON values."""
        return {}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Return to a state."""
