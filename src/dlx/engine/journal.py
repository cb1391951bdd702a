"""Several loggers as one."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dlx.core import Logger, Picture, Table


class Journal(Logger):
    """Passes everything on to each of its loggers, in their order."""

    def __init__(self, loggers: Sequence[Logger]) -> None:
        self.loggers = tuple(loggers)

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        for logger in self.loggers:
            logger.log(step, scalars)

    def progress(self, step: int, total: int) -> None:
        for logger in self.loggers:
            logger.progress(step, total)

    def picture(self, step: int, name: str, picture: Picture) -> None:
        for logger in self.loggers:
            logger.picture(step, name, picture)

    def frame(self, step: int, name: str, picture: Picture) -> None:
        for logger in self.loggers:
            logger.frame(step, name, picture)

    def table(self, step: int, name: str, table: Table) -> None:
        for logger in self.loggers:
            logger.table(step, name, table)

    def message(self, text: str) -> None:
        for logger in self.loggers:
            logger.message(text)

    def close(self) -> None:
        for logger in self.loggers:
            logger.close()
