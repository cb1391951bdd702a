"""What tests of training share: small experiments in this process, stopped, resumed and compared."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

from dlx.assembly.experiment import prepare
from dlx.assembly.trainer import build_trainer
from dlx.config import spec
from dlx.core import Logger
from dlx.engine.saver import pack, unpack
from dlx.engine.trainer import Trainer
from dlx.errors import InterruptedBySignalError

IRIS = """
task: classification
data: {name: iris, batch_size: 16}
model:
  name: sequential
  layers:
    - dense: {size: 8, activation: relu}
    - batch_norm
    - dropout: 0.3
    - dense: num_classes
optimizer: {name: adam, lr: 0.01}
epochs: 3
trainer: {log_every: 2}
"""


class Lines(Logger):
    """Keeps every line that is logged."""

    def __init__(self) -> None:
        self.rows: list[dict[str, Any]] = []
        self.messages: list[str] = []

    def log(self, step, scalars):
        self.rows.append({"step": step, **scalars})

    def message(self, text):
        self.messages.append(text)


class Kept:
    """A trainer whose checkpoints stay in memory."""

    def __init__(self, config: str = IRIS, *overrides: str) -> None:
        described = spec.parse(config, "experiment.yaml", list(overrides))
        self.built = prepare(described)
        self.trainer: Trainer = build_trainer(self.built)
        self.lines = Lines()
        self.saved: list[tuple[int, dict[str, bytes]]] = []
        self.signal: Callable[[], int | None] = lambda: None

    def snapshot(self, trainer: Trainer, *, resumable: bool) -> Any:
        """Keep the present state."""
        return trainer.step, self.pack(resumable)

    def save(self, trainer: Trainer, states: list[Any]) -> None:
        """Keep states."""
        self.saved.extend(states)

    def stop_signal(self) -> int | None:
        """Ask whoever stops this training."""
        return self.signal()

    def pack(self, resumable: bool = True) -> dict[str, bytes]:
        """Write the present state."""
        return pack(self.trainer, "", self.built.source.facts, self.built.source.processor, resumable=resumable)

    def go_on_from(self, other: Kept) -> Kept:
        """Return to another's newest checkpoint, and to its lines up to there."""
        step, files = other.saved[-1]
        unpack(self.trainer, files)
        self.saved = list(other.saved)
        self.lines.rows = [row for row in other.lines.rows if row["step"] <= step]
        return self

    def fit(self) -> Kept:
        """Train to the end."""
        self.trainer.fit(self.lines, self)
        return self

    def interrupt(self, step: int) -> Kept:
        """Train until a signal comes at a step."""
        self.signal = lambda: 15 if self.trainer.step >= step else None
        try:
            self.trainer.fit(self.lines, self)
        except InterruptedBySignalError:
            assert self.saved[-1][0] == step
        return self

    def crash(self, step: int) -> Kept:
        """Train until the process dies at a step: nothing more is saved."""

        def die() -> None:
            if self.trainer.step >= step:
                raise Died

        self.signal = die
        try:
            self.trainer.fit(self.lines, self)
        except Died:
            assert self.saved[-1][0] <= step
        return self

    def end(self) -> dict[str, Any]:
        """Tell all that two equal trainings have in common at their ends."""
        step, files = self.saved[-1]
        state = json.loads(files["state.json"])
        return {
            "step": step,
            **{name: content for name, content in files.items() if name.endswith(".safetensors")},
            "state": {key: value for key, value in state.items() if key != "seconds"},
            "lines": [
                {key: value for key, value in row.items() if key not in ("seconds", "train/waiting")} for row in self.lines.rows
            ],
        }


class Died(Exception):
    """Stands for the end of the process."""


def differing(one: Kept, other: Kept) -> list[str]:
    """Name what differs between two ends."""
    a, b = one.end(), other.end()
    return [key for key in a.keys() | b.keys() if a.get(key) != b.get(key)]
