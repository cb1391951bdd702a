"""Folders for the time of a block; what a killed process left is deleted by the next one. Standard library only."""

from __future__ import annotations

import contextlib
import importlib.util
import os
import shutil
import stat
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

# Windows: what a killed process leaves stays there
fcntl: Any = importlib.import_module("fcntl") if importlib.util.find_spec("fcntl") else None

PREFIX = "dlx-scratch-"
YOUNG = 60.0  # seconds in which a folder may not be held yet by the process that has just made it


@contextlib.contextmanager
def folder() -> Iterator[Path]:
    """Give a folder of this process's own until the end of the block; raises OSError."""
    with contextlib.suppress(OSError):
        sweep(Path(tempfile.gettempdir()))
    place = Path(tempfile.mkdtemp(prefix=PREFIX))
    held = _hold(place)
    try:
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
        if held is not None:
            os.close(held)


def sweep(parent: Path) -> None:
    """Delete the folders of this user's processes that are gone: nobody holds them any more."""
    for place in parent.glob(f"{PREFIX}*"):
        status = place.lstat()
        own = stat.S_ISDIR(status.st_mode) and status.st_uid == os.geteuid()
        if own and time.time() - status.st_mtime > YOUNG and (held := _hold(place)) is not None:
            shutil.rmtree(place, ignore_errors=True)
            os.close(held)


def _hold(place: Path) -> int | None:
    """Take the lock of a folder for as long as its descriptor is open; None where another has it, or there are no locks."""
    if fcntl is None:
        return None
    with contextlib.suppress(OSError):
        descriptor = os.open(place, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            return descriptor
        except OSError:
            os.close(descriptor)
    return None
