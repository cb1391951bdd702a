"""What a model reads, in lines: each column of a table with its kind and its range."""

from __future__ import annotations

from pathlib import Path

from dlx.core import Processor
from dlx.errors import printable
from dlx.storage import checkpoint, contents

MOST_LINES = 40  # lines that training and checking show; a table may have thousands of columns


def inputs(processor: Processor | None, most: int | None = MOST_LINES) -> list[str]:
    """Say what a processor reads, in no more lines than `most`."""
    lines = [printable(line.replace("\n", "\\n")) for line in processor.describe()] if processor else []
    more = len(lines) - (most or len(lines))
    return [*lines[:most], f"... and {more:,} more (dlx show RUN)"] if more > 0 else lines


def inputs_of_run(run: Path) -> list[str]:
    """Say all that the processor of a run's newest checkpoint reads; nothing where there is no checkpoint."""
    found, _ = checkpoint.newest_valid(run / "checkpoints")
    if found is None:
        return []
    from dlx.assembly.restore import Loaded

    return inputs(Loaded(found, contents.read(found)).processor(), most=None)
