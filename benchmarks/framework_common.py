"""What the contestants of framework_speed.py share: networks, rows, and how long they train."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

CLASSES, SIZE = 10, 128
SIZES = (16, 64, 64)  # of the MLP's hidden layers
WIDTHS = (16, 32, 64)  # of ResNet-20's groups
SHAPES = {
    "mlp": (64,), "simple_rnn": (50, 8), "lstm": (50, 8), "gru": (50, 8), "resnet20": (3, 32, 32), "vgg16": (3, 224, 224),
}  # fmt: skip
BIASES = {"simple_rnn": 1, "lstm": 4}  # times SIZE: PyTorch has two biases where Keras has one


@dataclass(frozen=True)
class Race:
    """One network, on how many rows, in how many timed epochs behind one that warms up, or compiles."""

    network: str
    rows: int
    epochs: int
    batch: int = 32
    threads: int = 1

    @property
    def steps(self) -> int:
        """How many steps an epoch has."""
        return self.rows // self.batch


RACES = {
    "mlp": Race("mlp", 32_768, 4), "simple_rnn": Race("simple_rnn", 1_024, 8),
    "lstm": Race("lstm", 1_024, 8), "gru": Race("gru", 1_024, 6),
    "resnet20": Race("resnet20", 1_536, 2, 128), "vgg16": Race("vgg16", 24, 1, 8),
}  # fmt: skip


def data(race: Race) -> tuple[Any, Any]:
    """Draw float32 inputs (N, ...) and int64 classes (N,), which are a noisy linear function of them."""
    import numpy as np

    generator = np.random.default_rng(0)
    inputs = generator.standard_normal((race.rows, *SHAPES[race.network]), dtype=np.float32)
    flat = inputs.reshape(race.rows, -1)
    scores = flat @ generator.standard_normal((flat.shape[1], CLASSES), dtype=np.float32)
    return inputs, (scores + generator.standard_normal(scores.shape)).argmax(1)


def is_image(race: Race) -> bool:
    """Tell whether a network sees images."""
    return len(SHAPES[race.network]) == 3
