"""What the commands do, for Python: each function is the command of its name, without a process and without a terminal."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

if TYPE_CHECKING:
    from torch import nn

    from dlx.core import Processor

Config = str | os.PathLike[str] | Mapping[str, Any]
Overrides = Sequence[str] | Mapping[str, Any]


@dataclass(frozen=True)
class Run:
    """A finished training: its folder, its last step, and the evaluation that chose the best checkpoint."""

    path: Path
    step: int
    best: Mapping[str, Any] | None  # {"step", "name", "value", "loss"}; None without a validation split
    numbers: Mapping[str, float]  # of the best evaluation, such as `val/accuracy`

    @property
    def checkpoint(self) -> Path:
        """Return the best checkpoint, or the last one where none was judged."""
        return self.path / "checkpoints" / ("best" if self.best else "last")

    def metrics(self) -> list[dict[str, Any]]:
        """Load the lines of the log, oldest first: of each the step and its numbers."""
        from dlx.storage.records import read_metrics

        return read_metrics(self.path)

    def evaluate(self, **settings: Any) -> dict[str, Any]:
        """Evaluate the best checkpoint; settings are those of `dlx.evaluate`."""
        return evaluate(self.path, **settings)

    def predict(self, inputs: Iterable[str | os.PathLike[str]], **settings: Any) -> list[dict[str, Any]]:
        """Answer inputs by the best checkpoint; settings are those of `dlx.predict`."""
        return predict(self.path, inputs, **settings)


class Trained(NamedTuple):
    """A trained model, in evaluation mode on its device, and what reads its inputs and words its answers."""

    model: nn.Module
    processor: Processor | None


def train(
    config: Config,
    overrides: Overrides = (),
    *,
    name: str | None = None,
    runs: str | os.PathLike[str] = "runs",
    resume: bool = False,
    quiet: bool = True,
    trust: bool = False,
) -> Run:
    """Train an experiment into a run directory, as `dlx train` does.

    `config` is a file, the name of a config that comes with dlx, a run to resume, or a mapping of the same sections;
    overrides are strings (`optimizer.lr=0.1`) or a mapping of keys to values. Raises DlxError with the message that the
    command prints, and InterruptedBySignalError where a signal asks for an end.
    """
    from dlx.commands.train import train as run

    given = config if isinstance(config, Mapping) else os.fspath(config)
    found = run(given, written(overrides), name=name, resume=resume, runs=Path(runs), quiet=quiet, trust=trust)
    numbers = {key: value for key, value in found.items() if key.startswith("val/")}
    return Run(Path(found["run"]), found["step"], found["best"], numbers)


def evaluate(
    path: str | os.PathLike[str], overrides: Overrides = (), *, split: str = "test", trust: bool = False
) -> dict[str, Any]:
    """Evaluate a run or a checkpoint on a split, as `dlx eval --json` does: its numbers beside the baseline's."""
    from dlx.commands.evaluate import evaluate as run

    return run(os.fspath(path), written(overrides), split, trust)


def predict(
    path: str | os.PathLike[str], inputs: Iterable[str | os.PathLike[str]], overrides: Overrides = ()
) -> list[dict[str, Any]]:
    """Answer inputs, such as files, rows of a table or texts, as `dlx predict --json` does: a mapping an example.

    A `Path` is a file, whatever its name.
    """
    from dlx.commands.predict import predict as run

    return list(run(os.fspath(path), list(inputs), written(overrides)))


def load(path: str | os.PathLike[str], overrides: Overrides = ()) -> Trained:
    """Load the model of a run or a checkpoint, in evaluation mode, with its processor (None where its data has none)."""
    from dlx.assembly.restore import load as restored

    found = restored(os.fspath(path))
    model: nn.Module = found.learner(written(overrides)).task.model
    return Trained(model.eval(), found.processor())


def written(overrides: Overrides) -> list[str]:
    """Write overrides as they are typed."""
    if isinstance(overrides, str):
        raise TypeError(f"overrides are a list of strings or a mapping, not one string: [{overrides!r}]")
    if isinstance(overrides, Mapping):
        return [f"{key}={json.dumps(value)}" for key, value in overrides.items()]
    return list(overrides)
