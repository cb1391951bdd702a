"""Progress for whoever watches: a live bar on a terminal, plain lines elsewhere, all lines in train.log."""

from __future__ import annotations

import sys
import time
from collections.abc import Mapping
from typing import TextIO

from rich.console import Console as RichConsole
from rich.console import ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    Progress,
    ProgressColumn,
    Task,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.table import Column
from rich.text import Text

from dlx.core import Logger
from dlx.errors import brief, one_line, printable
from dlx.registry import loggers
from dlx.storage.run import Run

SPACING = 1.0  # seconds between two lines on the screen; train.log has every line


@loggers("console")
class Console(Logger):
    """Writes to stderr and train.log; always there."""

    always = True

    def __init__(self, run: Run, quiet: bool = False) -> None:
        self.file: TextIO = run.open_log()
        self.rich = RichConsole(stderr=True, highlight=False)
        self.live = self.rich.is_terminal and not quiet
        self.quiet, self.next_line, self.held = quiet, 0.0, ""
        self.bar: Progress | None = None

    def log(self, step: int, scalars: Mapping[str, float]) -> None:
        told = {name: value for name, value in scalars.items() if name not in ("seconds", "train/waiting")}
        line = "  ".join([f"step {step:>6}", *(_number(name, value) for name, value in told.items())])
        self.file.write(line + "\n")
        self.file.flush()
        if self.bar:
            shown = [_number(n, v) for n, v in scalars.items() if n.startswith(("train/loss", "val/"))]
            if shown:
                self.bar.update(self.bar.task_ids[0], numbers=Numbers(shown[:4]))
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
            self.bar = Progress(*_columns(), console=self.rich, auto_refresh=False, expand=True)
            self.bar.add_task("train", total=total, numbers=Numbers([]))
            self.bar.start()
        self.bar.update(self.bar.task_ids[0], completed=step)
        self.bar.refresh()

    def message(self, text: str) -> None:
        text = printable(text)
        self.file.write(text + "\n")
        self.file.flush()
        if self.quiet:
            return
        self.release()
        if self.bar:
            self.bar.console.print(text, markup=False, emoji=False, soft_wrap=True)
        else:
            print(text, file=sys.stderr, flush=True)

    def close(self) -> None:
        self.release()
        if self.bar:
            self.bar.refresh()
            self.bar.stop()
            self.bar = None
        self.file.close()


def _columns() -> list[ProgressColumn]:
    """Give the columns of the bar: where the terminal is narrow the numbers give way first, then the bar itself."""
    whole, bar = Column(no_wrap=True, min_width=9), Column(ratio=1, max_width=24, min_width=4)
    counts = [TextColumn("step", table_column=Column(no_wrap=True)), MofNCompleteColumn(table_column=Column(no_wrap=True))]
    times = [TimeElapsedColumn(table_column=Column(no_wrap=True)), TimeRemainingColumn(table_column=whole)]
    return [*counts, BarColumn(bar_width=None, table_column=bar), *times, NumbersColumn(table_column=Column(ratio=3))]


class NumbersColumn(ProgressColumn):
    """The last numbers, as many as there is room for."""

    def render(self, task: Task) -> Numbers:
        return task.fields["numbers"]


class Numbers:
    """Texts side by side; those that do not fit are left out whole, and those that come first stay."""

    def __init__(self, texts: list[str]) -> None:
        self.texts = texts

    def __rich_console__(self, console: RichConsole, options: ConsoleOptions) -> RenderResult:
        fitting = [self.texts[:count] for count in range(len(self.texts), -1, -1)]
        texts = next(texts for texts in fitting if not texts or len("  ".join(texts)) <= options.max_width)
        yield Text("  ".join(texts), no_wrap=True, end="")  # names are no markup

    def __rich_measure__(self, console: RichConsole, options: ConsoleOptions) -> Measurement:
        return Measurement(0, len("  ".join(self.texts)))


def _number(name: str, value: float) -> str:
    return f"{one_line(name)} {value if isinstance(value, int) else brief(value)}"
