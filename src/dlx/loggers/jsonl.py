"""Numbers as one flat JSON object a line, and pictures as files: the run's own record."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from dlx.core import Logger, Picture
from dlx.registry import loggers
from dlx.run import Run


@loggers("jsonl")
class JsonLines(Logger):
    """Writes metrics.jsonl and plots/ of the run; always there."""

    always = True

    def __init__(self, run: Run) -> None:
        self.run = run

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        self.run.append_metrics(step, scalars)

    def picture(self, step: int, name: str, picture: Picture) -> None:
        folder = Path(self.run.path) / "plots"
        folder.mkdir(exist_ok=True)
        picture.savefig(str(folder / f"{name}.png"))

    def frame(self, step: int, name: str, picture: Picture) -> None:
        folder = Path(self.run.path) / "plots" / name
        folder.mkdir(parents=True, exist_ok=True)
        picture.savefig(str(folder / f"step-{step:08d}.png"))
