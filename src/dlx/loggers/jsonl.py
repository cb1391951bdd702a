"""Numbers as one flat JSON object a line, and pictures as files: the run's own record."""

from __future__ import annotations

import logging
from collections.abc import Mapping

from dlx.core import Logger, Picture, Table
from dlx.registry import loggers
from dlx.storage import files
from dlx.storage.failures import optional, reason
from dlx.storage.naming import file_name
from dlx.storage.run import Run

log = logging.getLogger("dlx")


@loggers("jsonl")
class JsonLines(Logger):
    """Writes metrics.jsonl and plots/ of the run; always there."""

    always = True

    def __init__(self, run: Run) -> None:
        self.run = run
        self.failed = set[str]()  # names of pictures

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        self.run.append_metrics(step, scalars)

    def picture(self, step: int, name: str, picture: Picture) -> None:
        files.save_picture(picture, self.run.folder("plots") / f"{file_name(name)}.png")

    def table(self, step: int, name: str, table: Table) -> None:
        with optional(f"the table {name}"):
            files.write(self.run.folder("plots", file_name(name)) / f"step-{step:08d}.txt", f"{table.text()}\n".encode())

    def frame(self, step: int, name: str, picture: Picture) -> None:
        try:
            files.save_picture(picture, self.run.folder("plots", file_name(name)) / f"step-{step:08d}.png")
        except Exception as error:  # what is only looked at is no reason to stop; it is told once
            if name not in self.failed:
                self.failed.add(name)
                log.warning("warning: the picture %s could not be drawn: %s", name, reason(error))
