"""How long something takes, without what is only for looking at."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from typing import Any


class Stopwatch:
    """Counts seconds from when it is made, but for pauses. They are a reading of the clock, and come out otherwise each time."""

    def __init__(self) -> None:
        self.begun, self.paused = time.perf_counter(), 0.0

    @contextmanager
    def pause(self) -> Iterator[None]:
        """Do not count what a block takes."""
        begun = time.perf_counter()
        try:
            yield
        finally:
            self.paused += time.perf_counter() - begun

    def seconds(self) -> float:
        """Return the seconds so far."""
        return time.perf_counter() - self.begun - self.paused


def made(words: Mapping[str, Any]) -> None:
    """Make all words of a prediction that are made when they are read, so that their making is counted."""
    for word in words:
        words[word]
