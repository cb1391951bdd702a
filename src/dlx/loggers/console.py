"""Progress for whoever watches: a live bar on a terminal, plain lines elsewhere, all lines in train.log."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TextIO

from rich.console import Console as RichConsole
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from dlx.core import Logger
from dlx.errors import brief
from dlx.registry import loggers
from dlx.run import Run

SPACING = 1.0  # seconds between two lines on the screen; train.log has every line


@loggers("console")
class Console(Logger):
    """Writes to stderr and train.log; always there."""

    def __init__(self, run: Run, quiet: bool = False) -> None:
        self.file: TextIO = run.open_log()
        self.rich = RichConsole(stderr=True, highlight=False)
        self.live = self.rich.is_terminal and not quiet
        self.quiet, self.next_line, self.held = quiet, 0.0, ""
        self.bar: Progress | None = None

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        line = "  ".join(
            [
                f"step {step:>6}",
                *(f"{name} {_short(value)}" for name, value in scalars.items() if name not in ("seconds", "train/waiting")),
            ]
        )
        self.file.write(line + "\n")
        self.file.flush()
        if self.bar:
            shown = {n: v for n, v in scalars.items() if n.startswith(("train/loss", "val/"))}
            if shown:
                self.bar.update(self.bar.task_ids[0], numbers="  ".join(f"{n} {_short(v)}" for n, v in list(shown.items())[:4]))
        elif not self.live and not self.quiet:
            self.spaced(line)

    def spaced(self, line: str) -> None:
        """Print a line now, or hold it back where one was just printed."""
        self.held = line
        if time.monotonic() >= self.next_line:
            self.release()

    def release(self) -> None:
        """Print the line held back."""
        if self.held:
            print(self.held, file=sys.stderr, flush=True)
            self.held, self.next_line = "", time.monotonic() + SPACING

    def progress(self, step: int, total: int) -> None:
        if not self.live:
            return
        if self.bar is None:
            columns = (
                TextColumn("[bold]step"),
                MofNCompleteColumn(),
                BarColumn(bar_width=24),
                TimeElapsedColumn(),
                TimeRemainingColumn(),
            )
            numbers = TextColumn("{task.fields[numbers]}")
            self.bar = Progress(*columns, numbers, console=self.rich, auto_refresh=False)
            self.bar.add_task("train", total=total, numbers="")
            self.bar.start()
        self.bar.update(self.bar.task_ids[0], completed=step)
        self.bar.refresh()

    def message(self, text: str) -> None:
        self.file.write(text + "\n")
        self.file.flush()
        if self.quiet:
            return
        self.release()
        if self.bar:
            self.bar.console.print(text, markup=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        self.release()
        if self.bar:
            self.bar.refresh()
            self.bar.stop()
            self.bar = None
        self.file.close()


def _short(value: float) -> str:
    return str(value) if isinstance(value, int) else brief(value)
