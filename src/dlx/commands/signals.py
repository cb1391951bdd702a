"""The signals that ask training to stop."""

from __future__ import annotations

import contextlib
import os
import signal
import stat
import threading
from collections.abc import Iterator
from typing import Any

HANGUP: int | None = getattr(signal, "SIGHUP", None)  # Windows has none


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collect SIGINT, SIGTERM and SIGHUP for the trainer to see between steps; a second SIGINT stops at once."""
    received: list[int] = []
    if threading.current_thread() is not threading.main_thread():  # only that one may be asked by signals
        yield received
        return

    def note(number: int, frame: Any) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        if number == HANGUP:
            _leave_terminal()
        received.append(number)

    before = {number: signal.signal(number, note) for number in _heeded()}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _heeded() -> list[int]:
    """List the signals that stop training; nohup has asked that a hang-up does not."""
    hangup = [HANGUP] if HANGUP is not None and signal.getsignal(HANGUP) != signal.SIG_IGN else []
    return [signal.SIGINT, signal.SIGTERM, *hangup]


def _leave_terminal() -> None:
    """Let what is written to a terminal that has gone go nowhere, so that the last checkpoint is not lost to an error."""
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor):
                os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)
