"""Lines of text files, to learn how texts go on."""

from __future__ import annotations

from dlx.core import Source
from dlx.data.options import Checkpoint
from dlx.data.text.options import LineOptions, SplitShares, TextBatching
from dlx.data.text.unlabelled import unlabelled_source
from dlx.errors import UsageError
from dlx.processors.text.lines import read_lines
from dlx.registry import sources
from dlx.registry.types import DataFiles, matching


@sources("text_lines")
def text_lines(
    seed: int,
    checkpoint: Checkpoint,
    *,
    train: DataFiles,
    val_file: DataFiles | None = None,
    test_file: DataFiles | None = None,
    options: LineOptions,
    shares: SplitShares,
    batching: TextBatching,
) -> Source:
    """Texts to learn language from: UTF-8 files, plain or gzipped, a text a line; `*.txt` takes several, blank lines none.

    Splits without a file of their own are drawn from `train` (a tenth each, or the shares `val` and `test`), equal lines, in
    whatever case, into the same. A longer line is cut, and ends there all the same; how many are is told.
    """
    files = {"train": train, "val": val_file, "test": test_file}
    given = {split: lines(pattern) for split, pattern in files.items() if pattern}
    return unlabelled_source(seed, checkpoint, given, options, shares, batching)


def lines(pattern: str) -> list[str]:
    """Read the lines of files that are not blank; raises UsageError where there is none."""
    found = [line.text for file in matching(pattern) for line in read_lines(file) if line.text]
    if not found:
        raise UsageError(f"{pattern}: has no line of text")
    return found
