"""What the contestants of framework_speed.py share: networks, rows, and how long they train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

BATCH, CLASSES, SIZE = 32, 10, 128
SIZES = (16, 64, 64)  # of the MLP's hidden layers
SHAPES = {"mlp": (64,), "simple_rnn": (50, 8), "lstm": (50, 8), "gru": (50, 8)}
BIASES = {"mlp": 0, "simple_rnn": 1, "lstm": 4, "gru": 0}  # times SIZE: PyTorch has two biases where Keras has one


@dataclass(frozen=True)
class Race:
    """One network, on how many rows, in how many timed epochs behind one that warms up, or compiles."""

    network: str
    rows: int
    epochs: int
    threads: int = 1

    @property
    def steps(self) -> int:
        """How many steps an epoch has."""
        return self.rows // BATCH


RACES = {
    "mlp": Race("mlp", 32_768, 4), "simple_rnn": Race("simple_rnn", 1_024, 8),
    "lstm": Race("lstm", 1_024, 8), "gru": Race("gru", 1_024, 6),
}  # fmt: skip


def data(race: Race) -> tuple[Any, Any]:
    """Draw float32 inputs (N, ...) and int64 classes (N,), which are a noisy linear function of them."""
    import numpy as np

    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((race.rows, *SHAPES[race.network]), dtype=np.float32)
    flat = inputs.reshape(race.rows, -1)
    scores = flat @ generator.standard_normal((flat.shape[1], CLASSES), dtype=np.float32)
    return inputs, (scores + generator.standard_normal(scores.shape)).argmax(1)
