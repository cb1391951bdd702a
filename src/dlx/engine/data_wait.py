"""How long steps wait for their data: a reading of the clock, for the log and for advice, on which nothing else depends."""

from __future__ import annotations

import time
from collections.abc import Iterator
from itertools import islice
from typing import Any

from dlx.core import Batch, Source

STEPS_JUDGED = 200  # steps to a span that is judged; an epoch where that has fewer
SHORTEST_SECONDS = 10.0  # that a span takes at least: nobody needs advice on what is over sooner
MOST_WAITING = 0.3  # share of a span that may go by in waiting


class Waiting:
    """The share of the time of steps that goes by in waiting for their batches; evaluating and saving are no part of it.

    The first batch is not counted: what is made once is made for it. Nothing but the log depends on this clock.
    """

    def __init__(self, span: int, remedy: str = Source.remedy) -> None:
        self.span, self.steps, self.told, self.remedy = span, -1, False, remedy
        self.asked = self.given = 0.0
        self.position: dict[str, Any] | None = None  # the source's, before the group that is waited for
        self.waited = self.spent = 0.0  # seconds since the span began
        self.line = (0.0, 0.0)  # the same two at the last line

    def take(self, batches: Iterator[Batch], count: int, source: Source) -> list[Batch]:
        """Draw the batches of a step, and note how long that takes."""
        self.position, self.asked = None if source.keeps_tensors else source.state_dict(), time.perf_counter()
        group = list(islice(batches, count))
        self.position, self.given = None, time.perf_counter()
        return group

    def return_to_step(self, source: Source) -> bool:
        """Put a source back to where the last step left it, while its next batches are waited for; return whether they are."""
        if self.position is not None:
            source.load_state_dict(self.position)
        return self.position is not None

    def add(self, now: float) -> None:
        """Count the step that ends now."""
        self.steps += 1
        if self.steps:
            self.waited += self.given - self.asked
            self.spent += now - self.asked

    def share(self) -> float:
        """Tell the share since the last line."""
        waited, spent = self.waited - self.line[0], self.spent - self.line[1]
        self.line = self.waited, self.spent
        return round(waited / spent, 4) if spent else 0.0

    def advice(self) -> str | None:
        """Say, once, what helps where a whole span went by in waiting."""
        if self.told or self.steps < self.span or self.spent < SHORTEST_SECONDS:
            return None
        share, self.told = self.waited / self.spent, self.waited > MOST_WAITING * self.spent
        self.steps, self.waited, self.spent, self.line = 0, 0.0, 0.0, (0.0, 0.0)
        return f"{share:.0%} of the training time goes by in waiting for data. {self.remedy}" if self.told else None
