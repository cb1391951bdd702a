"""What adds reasons to answers, whatever is answered."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dlx.core import Batch


class Explanation(ABC):
    """Adds to answers why they were given; `lines` writes them for people, a line each, where they are not to be a table."""

    lines: Callable[[Iterator[dict[str, Any]]], Iterator[str]] | None = None

    @abstractmethod
    def add(self, examples: Sequence[Any], batch: Batch, prediction: Batch, answers: list[dict[str, Any]]) -> None:
        """Explain the answers to examples, which are those of a batch; raises DlxError."""
