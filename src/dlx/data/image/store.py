"""A folder of dlx's own inside the cache: it is known by its tag before anything in it is written or deleted.

Only its owner may look into it, since it holds the pixels of folders that others may not read.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import logging
import os
import re
import secrets
import shutil
import stat
import time
from collections.abc import Iterator
from typing import Annotated, Any

from dlx.errors import ComponentError, Fault, Path
from dlx.registry.types import AnyPath
from dlx.storage import files

OWN = "dlx-images"
TAG = "CACHEDIR.TAG"  # the name and the first line by which backups know a cache (bford.info/cachedir)
KNOWN = b"Signature: 8a477f597d28d172789f06886806bc55\n# dlx keeps decoded images here"
ABOUT = b" (docs/image_classification.md).\n# All of it may be deleted at any time; it is made again when needed.\n"
TAG_BYTES = 4096
BEGUN = re.compile(r"\.[0-9a-f]{16}\.partial")  # a file that is being written
OLD = 86400.0  # seconds after which such a file is nobody's
log = logging.getLogger("dlx")


class CacheFolder(AnyPath):
    """Marks a choice that names the cache's folder, which need not exist, or is `none`."""

    asks_to = "write into"

    def check(self, value: str, path: Path) -> tuple[str, list[Fault]]:
        """Expand `~` and `$VARIABLES` to a full path."""
        if value == "none":
            return value, []
        full, faults = super().check(value, path)
        is_file = os.path.exists(full) and not os.path.isdir(full)
        return full, faults or ([Fault(path, f"{full} is no folder")] if is_file else [])

    def describe(self) -> str:
        """Say what is wanted."""
        return "folder or none"


Cache = Annotated[str, CacheFolder()]


def folder(cache: str | None) -> str | None:
    """Find the cache's folder: as given, else `dlx` in $XDG_CACHE_HOME or ~/.cache; None for `none`."""
    if cache == "none":
        return None
    home = os.environ.get("XDG_CACHE_HOME") or os.path.expanduser("~/.cache")
    return cache or os.path.join(home, "dlx")


class Store:
    """The folder `dlx-images` in a cache; it is made, or known again, at its first use."""

    def __init__(self, cache: str) -> None:
        self.cache, self.place = cache, os.path.join(cache, OWN)
        self.is_open = False

    def open(self) -> None:
        """Make the folder, or see that it is dlx's own, and sweep it; raises ComponentError."""
        if self.is_open:
            return
        try:
            os.makedirs(self.cache, mode=0o700, exist_ok=True)
            with contextlib.suppress(FileExistsError):
                os.mkdir(self.place, 0o700)
            self._recognise()
        except OSError as error:
            raise ComponentError(
                f"{self.cache}: cannot be written: {error.strerror}; name another folder, or none", ("cache",)
            ) from None
        self.is_open = True
        with contextlib.suppress(OSError):
            self.sweep()

    def _recognise(self) -> None:
        status = os.lstat(self.place)
        if not stat.S_ISDIR(status.st_mode):
            raise self._foreign("is a link or a file, where dlx keeps a folder of its own")
        if status.st_uid != os.geteuid():
            raise self._foreign("belongs to another user")
        tag = os.path.join(self.place, TAG)
        if not os.path.lexists(tag) and all(BEGUN.fullmatch(name) for name in os.listdir(self.place)):
            with contextlib.suppress(FileExistsError):  # of two processes at once one makes it
                files.create(tag, KNOWN + ABOUT, mode=0o600)
        if not self._is_own(tag):
            raise self._foreign(f"was not made by dlx: it has no {TAG} of dlx's")

    @staticmethod
    def _is_own(tag: str) -> bool:
        try:
            return not os.path.islink(tag) and files.read(tag, TAG_BYTES).startswith(KNOWN)
        except OSError:
            return False

    def _foreign(self, reason: str) -> ComponentError:
        return ComponentError(f"{self.place}: {reason}; nothing is written there: name another folder, or none", ("cache",))

    def path(self, name: str) -> str:
        """Tell where something in it lies."""
        return os.path.join(self.place, name)

    def new(self, name: str) -> str:
        """Make a folder of one's own for what is to get a name later; its lock must be held."""
        partial = self.path(f"{name}.{secrets.token_hex(8)}.partial")
        os.mkdir(partial, 0o700)
        return partial

    @contextlib.contextmanager
    def locked(self, name: str) -> Iterator[None]:
        """Hold what has a name for one process; where the file system has no locks, the worst is that two work."""
        descriptor = self._lock_file(name)
        try:
            with contextlib.suppress(OSError):
                try:
                    fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                except BlockingIOError:
                    log.info("waiting for another process that decodes the same images")
                    fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)

    def _lock_file(self, name: str) -> int:
        return os.open(self.path(f"{name}.lock"), os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)

    def sweep(self) -> None:
        """Delete what processes left that are gone: their locks are free."""
        for entry in os.scandir(self.place):
            if BEGUN.fullmatch(entry.name):
                if time.time() - entry.stat(follow_symlinks=False).st_mtime > OLD:
                    os.unlink(entry.path)
            elif entry.name.endswith(".partial") and entry.is_dir(follow_symlinks=False):
                self._sweep(entry.name.partition(".")[0], entry.path)

    def _sweep(self, name: str, partial: str) -> None:
        descriptor = self._lock_file(name)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(partial, ignore_errors=True)
        except OSError:  # it is being made, or there are no locks to tell
            pass
        finally:
            os.close(descriptor)

    def remove(self, name: str) -> None:
        """Delete what has a name, whatever it is; a link goes, not what it leads to."""
        path = self.path(name)
        if os.path.islink(path) or os.path.isfile(path):
            os.unlink(path)
        elif os.path.isdir(path):  # out of the way at once: a thread may still be bringing it to the disk
            gone = f"{path}.{secrets.token_hex(8)}.partial"
            os.rename(path, gone)
            shutil.rmtree(gone, ignore_errors=True)

    def note(self, kind: str, key: str, most: int) -> Any:
        """Read a note that was kept under a key; None where there is none."""
        self.open()
        with contextlib.suppress(OSError, ValueError, RecursionError):
            return json.loads(files.read(self._note(kind, key), most))
        return None

    def keep_note(self, kind: str, key: str, value: Any) -> None:
        """Keep a note under a key; one that cannot be kept is made again when needed."""
        with contextlib.suppress(OSError):
            files.write(self._note(kind, key), json.dumps(value).encode(), mode=0o600)

    def _note(self, kind: str, key: str) -> str:
        return self.path(f"{kind}-{hashlib.sha256(os.fsencode(key)).hexdigest()[:32]}.json")
