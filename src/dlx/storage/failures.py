"""Failures of the machine, no memory and no room on a disk, as one line that says what did not fit."""

from __future__ import annotations

import errno
import logging
import re
import traceback
from collections.abc import Iterator
from contextlib import contextmanager

log = logging.getLogger("dlx")

# Of a disk and of the process's limits; what is wrong with a file that the user names is told where it is read.
OF_THE_DISK = (errno.ENOSPC, errno.EDQUOT, errno.EROFS, errno.EFBIG, errno.EIO, errno.EMFILE, errno.ENFILE, errno.ENOMEM)
NO_MEMORY = re.compile(r"can't allocate memory|out of memory|not enough memory|alloc_cpu|failed to allocate", re.IGNORECASE)
ASKED = re.compile(r"tried to allocate ([\d.]+) (bytes|[KMGT]i?B)", re.IGNORECASE)
WHAT = {
    **dict.fromkeys(("data", "processors", "augmentation"), "the data"),
    **dict.fromkeys(("models", "layers"), "the model"),
    **dict.fromkeys(("manifest", "checkpoint", "snapshot", "saver", "contents"), "a checkpoint"),
    **dict.fromkeys(("step", "trainer", "ema", "optimizers"), "a step of training"),
    **dict.fromkeys(("tasks", "evaluator"), "a batch"),
    **dict.fromkeys(("pictures",), "a picture"),
    **{
        "loggers": "the run's log",
        "metrics": "a metric",
        "weights": "the file of weights",
        "cached_features": "the features of the data",
    },
}  # by rooms and modules of dlx
SMALLER = "a smaller data.batch_size or a smaller model needs less"
LESS = dict.fromkeys(("the model", "a step of training", "a batch"), SMALLER)
ARRAY = re.compile(r"Unable to allocate ([\d.]+ \wi?B) for an array with shape (\(.*?\))")


def is_memory(error: BaseException) -> bool:
    """Return whether an exception says that memory did not suffice; torch says so by a RuntimeError of many texts."""
    return isinstance(error, MemoryError) or (isinstance(error, RuntimeError) and bool(NO_MEMORY.search(str(error))))


def told(error: BaseException) -> str | None:
    """Write the one line for a failure of the machine; None for any other exception."""
    if is_memory(error):
        what = _what(error)
        remedy = f"; {LESS[what]}" if what in LESS else ""
        return f"out of memory{': ' * bool(what)}{what}{' does not fit' * bool(what)}{_asked(str(error))}{remedy}"
    if isinstance(error, OSError) and error.errno in OF_THE_DISK:
        what = "" if error.filename else _what(error)  # writing to a file that is open names none
        return reason(error) + f": {what}" * bool(what)
    return None


def _what(error: BaseException) -> str:
    """Say what was being made, by the innermost module of dlx that the exception came through."""
    found = ""
    for frame, _ in traceback.walk_tb(error.__traceback__):
        rooms = str(frame.f_globals.get("__name__", "")).split(".")
        if rooms[0] == "dlx":
            found = next((WHAT[room] for room in reversed(rooms) if room in WHAT), found)
    return found


def reason(error: BaseException) -> str:
    """Write what went wrong in one line, without the names and numbers of Python."""
    if isinstance(error, OSError) and error.strerror:
        return error.strerror + (f": {error.filename}" if error.filename else "")
    lines = str(error).splitlines()
    return lines[0] if lines and lines[0] else type(error).__name__


@contextmanager
def optional(what: str) -> Iterator[None]:
    """Let what is only looked at fail with a warning: numbers that are ready do not depend on it."""
    try:
        yield
    except Exception as error:
        log.warning("warning: %s could not be drawn: %s", what, reason(error))


def _asked(text: str) -> str:
    if match := ARRAY.search(text):
        return f" ({match[1]} for an array of shape {match[2]})"
    if match := ASKED.search(text):
        amount = f"{int(match[1]):,} bytes" if match[2] == "bytes" and match[1].isdigit() else f"{match[1]} {match[2]}"
        return f" ({amount} asked for at once)"
    return ""
