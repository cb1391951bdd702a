"""The run directory: everything one training leaves behind, and the lock that keeps it to one process.

runs/NAME/ holds config.yaml (resolved), metrics.jsonl, train.log, environment.json, status.json, checkpoints/, plots/.
"""

from __future__ import annotations

import importlib.util
import json
import math
import os
import re
import socket
import time
import warnings
from collections.abc import Mapping
from contextlib import suppress
from io import TextIOWrapper
from itertools import chain, count
from pathlib import Path
from typing import Any, Literal, Self, TextIO

from dlx.errors import UsageError
from dlx.storage import checkpoint, files, locating, naming
from dlx.storage.checkpoint import reported
from dlx.storage.machine import now
from dlx.storage.records import LARGEST, metric_lines, read_metrics

# Windows: two trainings of one run are not prevented there
fcntl: Any = importlib.import_module("fcntl") if importlib.util.find_spec("fcntl") else None

State = Literal["running", "finished", "failed", "interrupted"]
PASSING = re.compile(r"\.([0-9a-f]{16}|config\.yaml|environment\.json|status\.json|metrics\.jsonl)\.partial")

PASSING_SECONDS = 60

_held: set[int] = set()  # descriptors of the locks of this process


def _forget_locks() -> None:
    # A lock lasts until every process that inherited its descriptor is gone. Forked data workers let go of it,
    # or they would keep the run locked after their parent was killed.
    while _held:
        os.close(_held.pop())


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget_locks)


class Run:
    """One run directory, held by this process until `close` or its end, however it ends."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.checkpoints = path / "checkpoints"
        self.plots = path / "plots"
        self.log_path = path / "train.log"
        self.metrics_path = path / "metrics.jsonl"
        with reported(f"lock run {path}"):
            self._lock = _lock(path)

    @classmethod
    def create(cls, root: Path, name: str, *, exact: bool) -> Self:
        """Make the directory root/name; if that is taken, refuse (exact) or take name-2, name-3, ..."""
        if fault := naming.fault_of_new(name, root):
            raise UsageError(f"{name!r} is no name for a run: {fault}")
        with reported(f"make a run in {root}"):
            root.mkdir(parents=True, exist_ok=True)
            path = _make(root, name, exact)
            run = cls(path)
            for folder in (run.checkpoints, run.plots):
                files.make_folder(folder)
            for folder in (path, root):  # a checkpoint is only as durable as the directories above it
                checkpoint.sync_folder(folder)
        return run

    @classmethod
    def open(cls, path: Path) -> Self:
        """Take an existing run to go on with it, and tidy up what a killed process left."""
        if not _may_be_run(path):
            raise UsageError(f"{path} is no run directory")
        for folder in (path / "checkpoints", path / "plots"):
            if folder.is_symlink():
                raise UsageError(f"{folder} is a link, and a run is written into its own folders only: put the folder there")
        run = cls(path)
        try:
            with reported(f"open run {path}"):
                for folder in (run.checkpoints, run.plots):
                    files.make_folder(folder)
                _clear(path, run.plots)
            checkpoint.sweep(run.checkpoints)
            locating.settle_copies(run.checkpoints)
        except BaseException:
            run.close()
            raise
        return run

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exception: object) -> None:
        self.close()

    def close(self) -> None:
        """Release the run; may be called again."""
        if self._lock in _held:
            _held.remove(self._lock)
            os.close(self._lock)

    def write_config(self, text: str) -> None:
        """Keep the resolved config."""
        _replace(self.path / "config.yaml", text)

    def write_environment(self, environment: Mapping[str, Any]) -> None:
        """Keep the machine's and the packages' description."""
        _replace(self.path / "environment.json", json.dumps(environment, indent=2) + "\n")

    def write_status(self, state: State, **more: Any) -> None:
        """Tell how the run stands; `more` is its step, the reason and so on, as JSON values; no NaN."""
        status = {"state": state, "updated": now(), "pid": os.getpid(), "host": socket.gethostname(), **more}
        _replace(self.path / "status.json", json.dumps(status, indent=2) + "\n")

    def open_log(self) -> TextIO:
        """Open train.log to add lines of text to it."""
        with reported(f"write {self.log_path}"):
            return TextIOWrapper(files.append(self.log_path), encoding="utf-8", errors="backslashreplace")

    def folder(self, *names: str) -> Path:
        """Return the folder of the run by these names, one within the other; each is made where it is not there."""
        place = self.path
        with reported(f"make a folder in {self.path}"):
            for name in names:
                place /= name
                files.make_folder(place)
        return place

    def append_metrics(self, step: int, scalars: Mapping[str, Any]) -> None:
        """Add a line to metrics.jsonl: floats in the shortest form that reads back exactly.

        JSON has no word for NaN and infinity; they are written as null, and read back as NaN.
        """
        numbers = {name: _number(value) for name, value in scalars.items()}
        line = json.dumps({"step": step, **numbers}, allow_nan=False).encode() + b"\n"
        with reported(f"write {self.metrics_path}"), files.append(self.metrics_path, 0) as file:
            if file.write(line) != len(line):  # one write a line: only the last one can be torn
                raise OSError(f"only a part of the line for step {step} was written; the disk may be full")

    def sync_metrics(self) -> None:
        """Make the lines so far durable; due before the checkpoint that counts on them."""
        with reported(f"write {self.metrics_path}"), files.append(self.metrics_path, 0) as file:
            os.fsync(file.fileno())

    def truncate_metrics(self, step: int) -> None:
        """Drop what was logged after a checkpoint's step, and torn last lines; a resumed run must call it first."""
        kept = [line for line, entry in metric_lines(self.metrics_path) if entry["step"] <= step]
        _replace(self.metrics_path, b"".join(kept).decode())

    def read_metrics(self) -> list[dict[str, Any]]:
        """Read metrics.jsonl, without torn last lines."""
        return read_metrics(self.path)


def _make(root: Path, name: str, exact: bool) -> Path:
    for path in chain([root / name], (root / f"{name}-{number}" for number in count(2))):
        with suppress(FileExistsError):
            path.mkdir()  # of two processes only one gets the name
            break
        if exact:
            raise UsageError(f"run {path} exists; choose another --name, or go on with it by --resume")
    return path


def _may_be_run(path: Path) -> bool:
    """Tell whether a directory is a run's, or what a process leaves that was killed while it made one."""
    with reported(f"open run {path}"):
        if (path / "checkpoints").is_dir():
            return True
        return path.is_dir() and {entry.name for entry in path.iterdir()} <= {".lock"}


def _clear(*folders: Path) -> None:
    """Delete the passing files that killed processes left; of another process that draws meanwhile they are younger."""
    for folder in folders:
        for place in folder.iterdir():
            if PASSING.fullmatch(place.name) and time.time() - place.lstat().st_mtime > PASSING_SECONDS:
                place.unlink(missing_ok=True)


def _lock(path: Path) -> int:
    with files.append(path / ".lock", 0, mode=0o644) as file:
        descriptor = os.dup(file.fileno())
    try:
        if fcntl:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        raise UsageError(f"run {path} is being trained by {_holder(path)}") from None
    except OSError as error:  # some cluster file systems have no locks
        warnings.warn(f"{path} cannot be locked ({error.strerror}): train it in one process only", stacklevel=2)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
    _held.add(descriptor)
    return descriptor


def _holder(path: Path) -> str:
    with suppress(OSError):
        return files.read(path / ".lock", 300).decode(errors="replace").strip() or "another process"
    return "another process"


def _replace(path: Path, text: str) -> None:
    """Give a file new content at once: readers see the old or the new."""
    with reported(f"write {path}"):
        files.write(path, text.encode())  # as it is, whatever the system's newlines


def _number(value: Any) -> int | float | None:
    number = value if isinstance(value, int) and abs(value) < LARGEST else float(value)
    return number if math.isfinite(number) else None
