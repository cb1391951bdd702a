"""What a run tells of itself, status.json and metrics.jsonl, as it is read: bounded, and every value of its kind."""

from __future__ import annotations

import importlib.util
import json
import math
import os
import socket
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

from dlx.errors import DlxError
from dlx.storage import files
from dlx.storage.checkpoint import reported

# Windows: a status is believed there
fcntl: Any = importlib.import_module("fcntl") if importlib.util.find_spec("fcntl") else None

MOST_STATUS = 1_000_000  # bytes
MOST_METRICS = 2**30
KINDS: dict[str, tuple[type, ...]] = {
    "state": (str,), "step": (int,), "reason": (str, type(None)), "pid": (int,), "host": (str,), "best": (dict, type(None)),
}  # fmt: skip
LARGEST = 2**63


def read_status(path: Path) -> dict[str, Any]:
    """Read how a run directory stands; nothing where nothing is told yet. Raises DlxError where it is damaged."""
    file = path / "status.json"
    with reported(f"read {file}"):
        if not os.path.lexists(file):
            return {}
        content = files.read(file, MOST_STATUS)
    try:
        status = json.loads(content)
    except (ValueError, RecursionError):
        status = None
    if not isinstance(status, dict) or not _is_status(status):
        raise DlxError(f"{file} is damaged")
    return status


def _is_status(status: dict[str, Any]) -> bool:
    if not all(isinstance(status[key], kind) for key, kind in KINDS.items() if key in status):
        return False
    best = status.get("best") or {"name": "", "value": 0, "step": 0}
    return isinstance(best.get("name"), str) and _is_number(best.get("value")) and _is_step(best.get("step"))


def is_gone(path: Path, status: dict[str, Any]) -> bool:
    """Return whether a run that says it is running was left by a process of this machine that is no more."""
    if status.get("state") != "running" or status.get("host") != socket.gethostname() or "pid" not in status:
        return False
    try:
        os.kill(status["pid"], 0)
    except (ProcessLookupError, OverflowError):
        return True
    except OSError:  # a process of another user
        return False
    return not _is_held(path)  # else the number may be another process's by now


def _is_held(path: Path) -> bool:
    """Tell whether a process holds a run's lock, as far as the file system tells."""
    if fcntl is None:
        return True
    try:
        with files.opened(path / ".lock") as lock:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    return False


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read the metrics of a run directory, which another process may be writing; null becomes NaN."""
    rows = metric_lines(path / "metrics.jsonl")
    return [{key: math.nan if value is None else value for key, value in entry.items()} for _, entry in rows]


def metric_lines(file: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Yield the whole lines of metrics.jsonl with what they say; damage is allowed at the end only, where writing broke off."""
    with reported(f"read {file}"):
        lines = files.read(file, MOST_METRICS).splitlines(keepends=True) if os.path.lexists(file) else []
    entries = [_entry(line) for line in lines]
    while entries and entries[-1] is None:
        entries.pop()
    for number, (line, entry) in enumerate(zip(lines, entries, strict=False), 1):
        if entry is None:
            raise DlxError(f"{file}:{number}: damaged line in the middle of the file")
        yield line, entry


def _entry(line: bytes) -> dict[str, Any] | None:
    with suppress(ValueError, RecursionError):
        entry = json.loads(line)
        if line.endswith(b"\n") and isinstance(entry, dict) and _is_step(entry.get("step")):
            return entry if all(value is None or _is_number(value) for value in entry.values()) else None
    return None


def _is_step(value: Any) -> bool:
    return type(value) is int and abs(value) < LARGEST


def _is_number(value: Any) -> bool:
    return type(value) is float or (type(value) is int and abs(value) < LARGEST)
