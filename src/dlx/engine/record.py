"""Where the states of a training are kept."""

from __future__ import annotations

from typing import Any, Protocol


class Record(Protocol):
    """Where the states of a training are kept, and who may ask it to stop; `trainer` is the engine's Trainer."""

    def snapshot(self, trainer: Any, *, resumable: bool) -> Any:
        """Return the state as it is now, to be saved; without what the source holds as tensors where not `resumable`."""

    def save(self, trainer: Any, states: list[Any]) -> None:
        """Save states, in the order of their steps."""

    def stop_signal(self) -> int | None:
        """Return the number of a signal that asks training to stop."""


class Unrecorded:
    """Keeps nothing and never asks."""

    def snapshot(self, trainer: Any, *, resumable: bool) -> Any: ...
    def save(self, trainer: Any, states: list[Any]) -> None: ...
    def stop_signal(self) -> int | None: ...
