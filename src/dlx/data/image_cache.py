"""Decode once: pixels in a cache folder, under a name made of the files' names, sizes, times and all settings.

A cache is a folder that appears by one rename, and is never changed. Another file, a change of one, another setting or
another version of the decoder gives another name; so it cannot be stale. It may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import fcntl
import glob
import hashlib
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Iterator, Sequence
from typing import Annotated

import numpy as np

from dlx.data.image_archives import unpacked
from dlx.data.image_listing import Names
from dlx.data.image_workers import CHUNK, decode_all
from dlx.errors import Fault, Misfit, Path
from dlx.processors.image_decoding import VERSION, Decoding
from dlx.signatures import AnyPath

README = (
    "dlx keeps decoded images here (docs/image_classification.md). Anything in this folder may be deleted; it is made again\n"
    "when needed.\n"
)
SYNCED = "synced"  # an empty file beside pixels that are on the disk
PULSE = 10.0  # seconds between two lines that tell how far decoding is
log = logging.getLogger("dlx")


def _boot() -> str:
    """Name the run of the machine: what one has written is whole as long as it lasts."""
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            return file.read().strip()
    except OSError:
        return ""


def _sync(place: str) -> None:
    """Bring a cache to the disk, and mark it so: until then it is trusted only while the machine runs on.

    Writing half a gigabyte durably takes seconds, which training need not wait for.
    """
    with contextlib.suppress(OSError):
        for name in os.listdir(place):
            with open(os.path.join(place, name), "rb") as written:
                os.fsync(written.fileno())
        with open(os.path.join(place, SYNCED), "wb"):
            pass


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


class Decoded:
    """The decoded images of a listing: `file` of uint8 `(N, C, H, W)`, `faults` by row, `digests` uint64 `(N,)`."""

    def __init__(self, place: str, count: int, decoding: Decoding) -> None:
        self.file, self.shape = os.path.join(place, "pixels"), (count, *decoding.shape)
        with open(os.path.join(place, "index.json"), encoding="utf-8") as kept:
            index = json.load(kept)
        self.faults: dict[int, str] = {int(row): why for row, why in index["faults"].items()}
        self.synced = os.path.exists(os.path.join(place, SYNCED))
        self.trusted = self.synced or index["boot"] == _boot() != ""
        self.digests = np.fromfile(os.path.join(place, "digests"), np.uint64)

    @classmethod
    def find(cls, place: str, count: int, decoding: Decoding) -> Decoded | None:
        """Open a cache that is whole."""
        try:
            found = cls(place, count, decoding)
            whole = os.path.getsize(found.file) == np.prod(found.shape, dtype=np.int64) and len(found.digests) == count
        except (OSError, ValueError, KeyError):
            return None
        if not whole or not found.trusted:
            return None
        if not found.synced:
            threading.Thread(target=_sync, args=(place,), daemon=True).start()
        return found


def decoded(files: Names, decoding: Decoding, cache: str, num_workers: int) -> Decoded:
    """Find the decoded images in the cache, or decode them into it; two processes at once do it once."""
    settings = json.dumps({"version": VERSION, **decoding.state_dict()}, sort_keys=True)
    key = hashlib.sha256(f"{settings}\0{files.digest()}".encode()).hexdigest()[:32]
    place, count = os.path.join(cache, f"images-{key}"), len(files.names)
    if found := Decoded.find(place, count, decoding):
        return found
    _prepare(cache, count * int(np.prod(decoding.shape)))
    with _locked(f"{place}.lock"):
        if found := Decoded.find(place, count, decoding):  # another process was faster
            return found
        for rest in [place, *glob.glob(f"{glob.escape(place)}.partial")]:
            shutil.rmtree(rest, ignore_errors=True)
        try:
            _build(files, decoding, f"{place}.partial", cache, num_workers)
            if not _boot():
                _sync(f"{place}.partial")
        except BaseException:
            shutil.rmtree(f"{place}.partial", ignore_errors=True)
            raise
        os.rename(f"{place}.partial", place)
    if found := Decoded.find(place, count, decoding):
        return found
    raise Misfit(f"{place}: the cache just written cannot be read", ("cache",))


def _prepare(cache: str, size: int) -> None:
    try:
        os.makedirs(cache, exist_ok=True)
        with open(os.path.join(cache, "README"), "w", encoding="utf-8") as readme:
            readme.write(README)
        free = shutil.disk_usage(cache).free
    except OSError as error:
        raise Misfit(f"{cache}: cannot be written: {error.strerror}; name another folder, or none", ("cache",)) from None
    if size > free:
        wanted = f"the decoded images take {size / 2**30:.1f} GiB, and {free / 2**30:.1f} are free"
        raise Misfit(f"{cache}: {wanted}; name another folder, a smaller image_size, or none", ("cache",))


@contextlib.contextmanager
def _locked(file: str) -> Iterator[None]:
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT, 0o644)
    try:
        with contextlib.suppress(OSError):  # a file system without locks: the worst is that two decode
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                log.info("waiting for another process that decodes the same images")
                fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _build(files: Names, decoding: Decoding, place: str, cache: str, num_workers: int) -> None:
    os.mkdir(place)
    pixels, count = os.path.join(place, "pixels"), len(files.names)
    with open(pixels, "wb") as empty:
        empty.truncate(count * int(np.prod(decoding.shape)))
    with unpacked(files.archives, cache) as plain:
        faults, digests = decode_to(pixels, files, decoding, plain, num_workers)
    digests.tofile(os.path.join(place, "digests"))
    index = {"shape": [count, *decoding.shape], "decoding": decoding.state_dict(), "faults": faults, "boot": _boot()}
    with open(os.path.join(place, "index.json"), "w", encoding="utf-8") as kept:
        json.dump(index, kept)


def decode_to(
    pixels: str, files: Names, decoding: Decoding, archives: Sequence[str], num_workers: int
) -> tuple[dict[str, str], np.ndarray]:
    """Decode all images to a file of pixels; gives the faults by row, and a digest of every file `(N,)`."""
    count, faults, done = len(files.names), dict[str, str](), 0
    digests, told = np.zeros(count, np.uint64), time.monotonic()
    orders = [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    for answer in decode_all(decoding, pixels, orders, lambda rows: files.listed(rows, archives), num_workers):
        first, found = answer["first"], answer["digests"]
        digests[first : first + len(found)] = np.array(found, np.uint64)
        faults |= answer["faults"]
        done += len(found)
        if time.monotonic() - told > PULSE:
            told = time.monotonic()
            log.info("decoded %s of %s images", f"{done:,}", f"{count:,}")
    return faults, digests
