"""Where numbers and pictures go."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from dlx.core.batch import Picture, Table


class Logger:
    """Where numbers and pictures go; every method may be left as it is."""

    always: ClassVar[bool] = False  # whether every run has it, so that no config may name it once more

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        """Log the numbers of one step, named `train/loss`, `val/accuracy`, ..."""

    def progress(self, step: int, total: int) -> None:
        """Called some times a second, while training goes on."""

    def picture(self, step: int, name: str, picture: Picture) -> None:
        """Log a picture."""

    def frame(self, step: int, name: str, picture: Picture) -> None:
        """Log a picture that is drawn again at every evaluation."""

    def table(self, step: int, name: str, table: Table) -> None:
        """Log a table that is written anew at every evaluation."""

    def message(self, text: str) -> None:
        """Log a line of text."""

    def close(self) -> None:
        """Finish writing."""
