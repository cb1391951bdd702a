"""Decode once: pixels in a cache folder, under a name made of the files' names, sizes, times and all settings.

A cache is a folder that appears by one rename, and is never changed. Another file, a change of one, another setting or
another version of the decoder gives another name; so it cannot be stale. It may be deleted at any time.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import logging
import os
import shutil
import threading
import time
from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np

from dlx.data.image.names import Names
from dlx.data.image.names import Plain as PlainArchives
from dlx.data.image.store import Store
from dlx.data.image.unpacking import Plain
from dlx.data.image.workers import CHUNK, decode_all
from dlx.errors import ComponentError, DlxError
from dlx.processors.image.decoding import VERSION, Decoding
from dlx.storage import files

SYNCED = "synced"  # an empty file beside pixels that are on the disk
PULSE = 10.0  # seconds between two lines that tell how far decoding is
INDEX_BYTES = 2**31  # of the faults of all files
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
            with files.opened(os.path.join(place, name)) as written:
                os.fsync(written.fileno())
        files.create(os.path.join(place, SYNCED), b"", mode=0o600)


class Decoded:
    """The decoded images of some files: `file` of uint8 `(N, C, H, W)`, `faults` by row, `digests` uint64 `(N,)`.

    `sizes` int32 `(N, 2)` has the width and height of each file's upright image, 0 where it cannot be used.
    """

    def __init__(self, place: str, count: int, decoding: Decoding) -> None:
        self.file, self.shape = os.path.join(place, "pixels"), (count, *decoding.shape)
        index = json.loads(files.read(os.path.join(place, "index.json"), INDEX_BYTES))
        self.faults: dict[int, str] = {int(row): why for row, why in index["faults"].items()}
        self.synced = os.path.exists(os.path.join(place, SYNCED))
        self.trusted = self.synced or index["boot"] == _boot() != ""
        self.digests = np.fromfile(os.path.join(place, "digests"), np.uint64)
        self.sizes = np.fromfile(os.path.join(place, "sizes"), np.int32).reshape(-1, 2)

    @classmethod
    def find(cls, place: str, count: int, decoding: Decoding) -> Decoded | None:
        """Open a cache that is whole."""
        try:
            found = cls(place, count, decoding)
            whole = os.path.getsize(found.file) == np.prod(found.shape, dtype=np.int64)
            whole = whole and len(found.digests) == len(found.sizes) == count
        except (OSError, ValueError, KeyError, TypeError, AttributeError, RecursionError):
            return None
        if not whole or not found.trusted:
            return None
        if not found.synced:
            threading.Thread(target=_sync, args=(place,), daemon=True).start()
        return found


def decoded(names: Names, decoding: Decoding, store: Store, num_workers: int, plain: Plain) -> Decoded:
    """Find the decoded images in the cache, or decode them into it; two processes at once do it once.

    Raises ComponentError, and DlxError where the disk takes no more.
    """
    settings = json.dumps({"version": VERSION, **decoding.state_dict()}, sort_keys=True)
    key = hashlib.sha256(f"{settings}\0{names.digest()}".encode()).hexdigest()
    name = f"images-{key[:32]}"
    count = len(names.names)
    store.open()
    if found := Decoded.find(store.path(name), count, decoding):
        return found
    _refuse_full(store.cache, count * int(np.prod(decoding.shape)))
    try:
        with store.locked(name):
            found = Decoded.find(store.path(name), count, decoding)  # another process was faster
            found = found or _make(names, decoding, store, name, num_workers, plain)
    except OSError as error:
        raise DlxError(
            f"{store.cache}: the decoded images cannot be kept there: {error.strerror}; make room, or name another folder, "
            "or none (data.cache)"
        ) from None
    if found:
        return found
    raise DlxError(f"{store.path(name)}: the cache just written cannot be read")


def _refuse_full(cache: str, size: int) -> None:
    with contextlib.suppress(OSError):
        if size > (free := shutil.disk_usage(cache).free):
            wanted = f"the decoded images take {size / 2**30:.1f} GiB, and {free / 2**30:.1f} are free"
            raise ComponentError(f"{cache}: {wanted}; name another folder, a smaller image_size, or none", ("cache",))


def _make(names: Names, decoding: Decoding, store: Store, name: str, num_workers: int, plain: Plain) -> Decoded | None:
    store.remove(name)
    partial = store.new(name)
    try:
        _build(names, decoding, partial, num_workers, plain)
        if not _boot():
            _sync(partial)
        os.rename(partial, store.path(name))
    except BaseException:
        shutil.rmtree(partial, ignore_errors=True)
        raise
    return Decoded.find(store.path(name), len(names.names), decoding)


def _build(names: Names, decoding: Decoding, place: str, num_workers: int, plain: Plain) -> None:
    pixels, count = os.path.join(place, "pixels"), len(names.names)
    target = os.open(pixels, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        os.truncate(target, count * int(np.prod(decoding.shape)))
        inherited = plain.prepare(names.used())
        looked = decode_to(target, names, decoding, plain, num_workers, inherited)
    finally:
        os.close(target)
    index = {"shape": [count, *decoding.shape], "decoding": decoding.state_dict(), "faults": looked.faults, "boot": _boot()}
    files.create(os.path.join(place, "digests"), looked.digests.tobytes(), mode=0o600)
    files.create(os.path.join(place, "sizes"), looked.sizes.tobytes(), mode=0o600)
    files.create(os.path.join(place, "index.json"), json.dumps(index).encode(), mode=0o600)


class Looked(NamedTuple):
    """What decoding all files once has told: faults by row, digests uint64 `(N,)`, widths and heights int32 `(N, 2)`."""

    faults: Mapping[int, str]
    digests: np.ndarray
    sizes: np.ndarray


def looked_at(names: Names, decoding: Decoding, plain: PlainArchives, num_workers: int) -> Looked:
    """Decode all images once without keeping them."""
    target = os.open(os.devnull, os.O_WRONLY | os.O_CLOEXEC)
    try:
        return decode_to(target, names, decoding, plain, num_workers)
    finally:
        os.close(target)


def decode_to(
    target: int,
    names: Names,
    decoding: Decoding,
    plain: PlainArchives,
    num_workers: int,
    inherited: Sequence[int] = (),
) -> Looked:
    """Decode all images to an open file of pixels."""
    count, faults, done = len(names.names), dict[int, str](), 0
    digests, sizes, told = np.zeros(count, np.uint64), np.zeros((count, 2), np.int32), time.monotonic()
    orders = [range(start, min(start + CHUNK, count)) for start in range(0, count, CHUNK)]
    for answer in decode_all(decoding, target, orders, lambda rows: names.listed(rows, plain), num_workers, inherited):
        first, found = answer["first"], answer["digests"]
        digests[first : first + len(found)] = np.array(found, np.uint64)
        sizes[first : first + len(found)] = np.array(answer["sizes"], np.int32)
        faults |= {int(row): why for row, why in answer["faults"].items()}
        done += len(found)
        if time.monotonic() - told > PULSE:
            told = time.monotonic()
            log.info("decoded %s of %s images", f"{done:,}", f"{count:,}")
    return Looked(faults, digests, sizes)
