"""What an environment takes, between the units that all environments share and its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np


class Discrete:
    """One of `count` actions, numbered from `start` by the environment and from 0 by models."""

    def __init__(self, count: int, start: int = 0) -> None:
        self.count, self.start = count, start

    def decode(self, prediction: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Answer {"action": number}, and {"probability": {number: p}} or {"value": {number: v}} where the task tells them."""
        answers: list[dict[str, Any]] = [{"action": self.start + number} for number in prediction["action"].tolist()]
        for word in ("probability", "value"):
            told = prediction[f"action_{word}"].tolist() if f"action_{word}" in prediction else []
            for answer, numbers in zip(answers, told, strict=bool(told)):
                answer[word] = {str(self.start + number): value for number, value in enumerate(numbers)}
        return answers

    def unscaled(self, actions: np.ndarray) -> np.ndarray:
        """Return actions (N,) of the environment as models number them, int64."""
        return actions.astype(np.int64).reshape(-1) - self.start

    def describe(self) -> str:
        """Say what an action is."""
        return f"one of {self.count}, by number from {self.start}"

    def state_dict(self) -> dict[str, Any]:
        """Return both numbers."""
        return {"count": self.count, "start": self.start}


class Continuous:
    """Numbers between `low` and `high`, as float64, which models write from -1 to 1."""

    def __init__(self, low: Sequence[float], high: Sequence[float]) -> None:
        self.low, self.high = np.asarray(low, np.float64).reshape(-1), np.asarray(high, np.float64).reshape(-1)

    def scaled(self, actions: np.ndarray) -> np.ndarray:
        """Return actions (B, A) within the bounds, float64: what lies beyond -1 and 1 is clipped."""
        within = np.minimum(np.maximum(actions.astype(np.float64), -1.0), 1.0)  # a tenth of what np.clip takes
        return self.low + (within + 1) / 2 * (self.high - self.low)

    def unscaled(self, actions: np.ndarray) -> np.ndarray:
        """Return actions (N, ...) of the environment as models write them: float32 (N, A), from -1 to 1."""
        whole = np.maximum(self.high - self.low, np.finfo(np.float64).tiny)
        within = (actions.reshape(len(actions), -1).astype(np.float64) - self.low) / whole
        return (np.minimum(np.maximum(within, 0.0), 1.0) * 2 - 1).astype(np.float32)

    def decode(self, prediction: Mapping[str, Any]) -> list[dict[str, Any]]:
        """Answer {"action": [number, ...]}."""
        return [{"action": numbers} for numbers in self.scaled(prediction["action"].cpu().numpy()).tolist()]

    def describe(self) -> str:
        """Say what an action is."""
        bounds = sorted({(f"{low:.6g}", f"{high:.6g}") for low, high in zip(self.low, self.high, strict=True)})
        within = f"from {bounds[0][0]} to {bounds[0][1]}" if len(bounds) == 1 else "each within its bounds"
        return f"{len(self.low)} number{'s' * (len(self.low) > 1)} {within}"

    def state_dict(self) -> dict[str, Any]:
        """Return the bounds."""
        return {"low": self.low.tolist(), "high": self.high.tolist()}


Actions = Discrete | Continuous


def restore_actions(state: Mapping[str, Any]) -> Actions:
    """Make actions again from their state."""
    return Discrete(**state) if "count" in state else Continuous(**state)
