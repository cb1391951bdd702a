"""The run directory: everything one training leaves behind, and the lock that keeps it to one process.

runs/NAME/ holds config.yaml (resolved), metrics.jsonl, train.log, environment.json, status.json, checkpoints/, plots/.
"""

from __future__ import annotations

import json
import math
import os
import socket
import warnings
from collections.abc import Iterator, Mapping
from contextlib import suppress
from io import FileIO
from itertools import chain, count
from pathlib import Path
from typing import Any, Literal, Self

from dlx import checkpoint
from dlx.checkpoint import reported
from dlx.errors import DlxError, UsageError, nearest
from dlx.machine import now

try:
    import fcntl
except ImportError:  # Windows: two trainings of one run are not prevented there
    fcntl = None  # type: ignore[assignment]

State = Literal["running", "finished", "failed", "interrupted"]
POINTERS = ("best", "last")

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
        if not name or name.startswith(".") or Path(name).name != name or "\\" in name:
            raise UsageError(f"{name!r} is no name for a run: it must be one plain directory name")
        with reported(f"make a run in {root}"):
            root.mkdir(parents=True, exist_ok=True)
            path = _make(root, name, exact)
            run = cls(path)
            run.checkpoints.mkdir()
            run.plots.mkdir()
            for folder in (path, root):  # a checkpoint is only as durable as the directories above it
                checkpoint.sync_folder(folder)
        return run

    @classmethod
    def open(cls, path: Path) -> Self:
        """Take an existing run to go on with it, and tidy up what a killed process left."""
        # A process killed while it made the directory leaves nothing in it, or the lock alone.
        if not (path / "checkpoints").is_dir() and not (path.is_dir() and {p.name for p in path.iterdir()} <= {".lock"}):
            raise UsageError(f"{path} is no run directory")
        run = cls(path)
        try:
            with reported(f"open run {path}"):
                run.checkpoints.mkdir(exist_ok=True)
                run.plots.mkdir(exist_ok=True)
            checkpoint.sweep(run.checkpoints)
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

    def append_metrics(self, step: int, scalars: Mapping[str, Any]) -> None:
        """Add a line to metrics.jsonl: floats in the shortest form that reads back exactly.

        JSON has no word for NaN and infinity; they are written as null, and read back as NaN.
        """
        numbers = {name: _number(value) for name, value in scalars.items()}
        line = json.dumps({"step": step, **numbers}, allow_nan=False).encode() + b"\n"
        with reported(f"write {self.metrics_path}"), FileIO(self.metrics_path, "ab") as file:
            if file.write(line) != len(line):  # one write a line: only the last one can be torn
                raise OSError(f"only a part of the line for step {step} was written; the disk may be full")

    def sync_metrics(self) -> None:
        """Make the lines so far durable; due before the checkpoint that counts on them."""
        with reported(f"write {self.metrics_path}"), FileIO(self.metrics_path, "ab") as file:
            os.fsync(file.fileno())

    def truncate_metrics(self, step: int) -> None:
        """Drop what was logged after a checkpoint's step, and torn last lines; a resumed run must call it first."""
        kept = [line for line, entry in _lines(self.metrics_path) if entry["step"] <= step]
        _replace(self.metrics_path, b"".join(kept).decode())

    def read_metrics(self) -> list[dict[str, Any]]:
        """Read metrics.jsonl, without torn last lines."""
        return read_metrics(self.path)


def read_metrics(path: Path) -> list[dict[str, Any]]:
    """Read the metrics of a run directory, which another process may be writing; null becomes NaN."""
    lines = _lines(path / "metrics.jsonl")
    return [{key: math.nan if value is None else value for key, value in entry.items()} for _, entry in lines]


def read_status(path: Path) -> dict[str, Any]:
    """Read how a run directory stands; nothing where nothing is told yet. Raises DlxError where it is damaged."""
    file = path / "status.json"
    try:
        return json.loads(file.read_text()) if file.exists() else {}
    except ValueError:
        raise DlxError(f"{file} is damaged") from None


def _make(root: Path, name: str, exact: bool) -> Path:
    for path in chain([root / name], (root / f"{name}-{number}" for number in count(2))):
        with suppress(FileExistsError):
            path.mkdir()  # of two processes only one gets the name
            break
        if exact:
            raise UsageError(f"run {path} exists; choose another --name, or go on with it by --resume")
    return path


def _lock(path: Path) -> int:
    descriptor = os.open(path / ".lock", os.O_RDWR | os.O_CREAT, 0o644)
    try:
        if fcntl:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        holder = os.read(descriptor, 300).decode(errors="replace").strip() or "another process"
        os.close(descriptor)
        raise UsageError(f"run {path} is being trained by {holder}") from None
    except OSError as error:  # some cluster file systems have no locks
        warnings.warn(f"{path} cannot be locked ({error.strerror}): train it in one process only", stacklevel=2)
    os.ftruncate(descriptor, 0)
    os.write(descriptor, f"process {os.getpid()} on {socket.gethostname()}\n".encode())
    _held.add(descriptor)
    return descriptor


def _replace(path: Path, text: str) -> None:
    """Give a file new content at once: readers see the old or the new."""
    temporary = path.with_name(f".{path.name}.partial")
    with reported(f"write {path}"):
        temporary.write_bytes(text.encode())  # as it is, whatever the system's newlines
        os.replace(temporary, path)


def _number(value: Any) -> int | float | None:
    number = value if isinstance(value, int) else float(value)
    return number if math.isfinite(number) else None


def _lines(path: Path) -> Iterator[tuple[bytes, dict[str, Any]]]:
    """Give the whole lines of metrics.jsonl with what they say; damage is allowed at the end only, where writing broke off."""
    with reported(f"read {path}"):
        lines = path.read_bytes().splitlines(keepends=True) if path.exists() else []
    entries = [_entry(line) for line in lines]
    while entries and entries[-1] is None:
        entries.pop()
    for number, (line, entry) in enumerate(zip(lines, entries, strict=False), 1):
        if entry is None:
            raise DlxError(f"{path}:{number}: damaged line in the middle of the file")
        yield line, entry


def _entry(line: bytes) -> dict[str, Any] | None:
    with suppress(ValueError, KeyError, TypeError):
        entry = json.loads(line)
        if line.endswith(b"\n") and isinstance(entry["step"], int):
            return entry
    return None


def locate(path: str) -> Path:
    """Find the checkpoint that a user means by a run, RUN/best, RUN/last or a checkpoint; runs may be named without runs/.

    A run stands for its best checkpoint, else its last. Raises UsageError with the nearest run's name if there is none.
    """
    for place in (Path(path), Path("runs", path)):
        if found := _checkpoint_at(place):
            return found
    if Path(path).is_file():
        raise UsageError(f"{path} is a file, not a run or a checkpoint")
    typed = Path(path).parent if Path(path).name in POINTERS else Path(path)
    known = {folder.parent.name: folder.parent for top in {typed.parent, Path("runs")} for folder in top.glob("*/checkpoints")}
    near = " or ".join(f"'{known[name]}'" for name in nearest(typed.name, known))
    raise UsageError(f"{path}: no run or checkpoint is there" + (f"; did you mean {near}?" if near else ""))


def _checkpoint_at(place: Path) -> Path | None:
    if place.is_dir() and (checkpoint.STEP.fullmatch(place.name) or (place / checkpoint.MANIFEST).exists()):
        return place.parent / os.readlink(place) if place.is_symlink() else place
    names: tuple[str, ...] = POINTERS
    if place.name in POINTERS and not place.is_dir():
        place, names = place.parent, (place.name,)
    folder = place if place.name == "checkpoints" else place / "checkpoints"
    if not folder.is_dir():
        return None
    for name in names:
        # A process killed before it moved `last` leaves a newer checkpoint, or none where `last` points.
        found = checkpoint.pointed(folder, name) or (checkpoint.newest_valid(folder)[0] if name == "last" else None)
        if found:
            return found
    kind = f"{names[0]} checkpoint" if len(names) == 1 else "checkpoint yet"
    raise UsageError(f"run {folder.parent} has no {kind}")


def run_of(checkpoint_path: Path) -> Path | None:
    """Give the run directory that a checkpoint lies in; None for one that was copied elsewhere."""
    folder = checkpoint_path.absolute().parent
    return folder.parent if folder.name == "checkpoints" and (folder.parent / "config.yaml").exists() else None
