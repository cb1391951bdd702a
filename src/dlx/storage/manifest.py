"""What makes a checkpoint whole: a list of its files with sizes and SHA-256 sums, and reading that takes nothing else.

Standard library only. Every read is bounded, and no file is opened that is no regular one.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from dlx.errors import DlxError, shown
from dlx.storage import files

VERSION = 1
MANIFEST = "manifest.json"
MOST_MANIFEST = 1_000_000  # bytes; a checkpoint has six files or seven, and each takes 150
MOST_DOCUMENT = 256 * 2**20  # bytes of a file that holds no tensors
PIECE = 2**20
TENSORS = ".safetensors"


class CheckpointError(DlxError):
    """A checkpoint is damaged, incomplete or of another version."""


class _Damage(Exception):
    pass


def canonical(document: Any) -> bytes:
    """Write JSON in the one form that is accepted back."""
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def manifest(contents: Mapping[str, bytes]) -> bytes:
    """List sizes and SHA-256 sums of files, with a sum of the list itself."""
    entries = {name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in contents.items()}
    document = {"files": entries, "version": VERSION}
    return canonical({**document, "sha256": hashlib.sha256(canonical(document)).hexdigest()})


def read(folder: Path) -> dict[str, bytes]:
    """Read a checkpoint's files; raises CheckpointError unless all are exactly as written."""
    with _told(folder) as real:
        return {path.name: _content(path, entry) for path, entry in _listing(real)}


def read_one(folder: Path, name: str) -> bytes:
    """Read one file of a checkpoint; raises CheckpointError unless it is exactly as written."""
    with _told(folder) as real:
        for path, entry in _listing(real):
            if path.name == name:
                return _content(path, entry)
        raise _Damage(f"{name} is missing")


def verify(folder: Path) -> None:
    """Raise CheckpointError, naming the file, unless the checkpoint is exactly as written."""
    with _told(folder) as real:
        _verify(real)


def validity(folder: Path) -> str | None:
    """Return what is wrong with a checkpoint; None if nothing is."""
    try:
        verify(folder)
    except CheckpointError as error:
        return str(error)
    return None


def is_whole(folder: Path) -> bool:
    """Return whether a folder, and no link, is a valid checkpoint.

    An error in reading is no answer: it raises OSError, before anything is deleted.
    """
    if folder.is_symlink():
        return False
    with suppress(_Damage):
        _verify(folder)
        return True
    return False


@contextmanager
def _told(folder: Path) -> Iterator[Path]:
    """Turn what goes wrong in reading into one message that names the checkpoint and the file."""
    real = folder.resolve()  # `best` may come to point elsewhere while we read
    try:
        yield real
    except _Damage as damage:
        raise CheckpointError(f"checkpoint {folder}: {damage}") from None
    except OSError as error:
        name = Path(error.filename).name if error.filename and Path(error.filename) != real else "the directory"
        raise CheckpointError(f"checkpoint {folder}: {name} cannot be read: {error.strerror or error}") from error


def _listing(folder: Path) -> Iterator[tuple[Path, dict[str, Any]]]:
    """Yield the files that the manifest names, and what it says of each; what is there beside them is damage."""
    if not folder.is_dir():
        raise _Damage("no such directory")
    # Hidden files are never ours: file browsers and network file systems leave them (.DS_Store, .nfs0001).
    found = {name for name in os.listdir(folder) if not name.startswith(".")}
    if MANIFEST not in found:
        raise _Damage(f"{MANIFEST} is missing")
    _require_file(folder / MANIFEST)
    entries = _entries(files.read(folder / MANIFEST, MOST_MANIFEST))
    if extra := found - entries.keys() - {MANIFEST}:
        raise _Damage(f"{min(extra)} is not in the manifest")
    for name, entry in entries.items():
        if name not in found:
            raise _Damage(f"{name} is missing")
        yield folder / name, entry


def _entries(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
        rest = {key: value for key, value in document.items() if key != "sha256"}
        whole = canonical(document) == content and document["sha256"] == hashlib.sha256(canonical(rest)).hexdigest()
        version, entries = document["version"], document["files"]
        whole = whole and (version != VERSION or all(map(_is_entry, entries.values())))
    except (ValueError, RecursionError, AttributeError, KeyError, TypeError):
        whole = False
    if not whole:
        raise _Damage(f"{MANIFEST} is damaged")
    if version != VERSION:
        raise _Damage(f"format version {shown(version)}; this dlx reads version {VERSION}")
    found: dict[str, Any] = entries
    return found


def _is_entry(entry: Any) -> bool:
    return entry.keys() == {"sha256", "size"} and type(entry["size"]) is int and 0 <= entry["size"] < 2**63


def _content(path: Path, entry: Mapping[str, Any]) -> bytes:
    _require_size(path, entry["size"])
    content = files.read(path, entry["size"])
    _require_sum(path, hashlib.sha256(content).hexdigest(), entry)
    return content


def _verify(folder: Path) -> None:
    for path, entry in _listing(folder):  # by pieces: the tensors need not fit into memory twice
        _require_size(path, entry["size"])
        found = hashlib.sha256()
        with files.opened(path) as file:
            while piece := file.read(PIECE):
                found.update(piece)
        _require_sum(path, found.hexdigest(), entry)


def _require_file(path: Path) -> None:
    if not path.is_file():  # a pipe would make us wait for ever
        raise _Damage(f"{path.name} is not a regular file")


def _require_size(path: Path, size: int) -> None:
    """Refuse a file of another size than it was written with, and one that no machine like this one can read."""
    _require_file(path)
    if (found := path.stat().st_size) != size:
        raise _Damage(f"{path.name} has {found} bytes instead of {size}")
    most = _memory() if path.name.endswith(TENSORS) else MOST_DOCUMENT
    if size > most:  # before it is read; a sparse file can claim any size
        raise files.too_large(path, most)


def _require_sum(path: Path, found: str, entry: Mapping[str, Any]) -> None:
    if found != entry["sha256"]:
        raise _Damage(f"{path.name} is damaged: its SHA-256 differs from the manifest's")


def _memory() -> int:
    """Return the bytes of the machine's memory, as far as the system tells."""
    with suppress(AttributeError, ValueError, OSError):  # Windows has no sysconf
        if (size := os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")) > 0:
            return size
    return 2**63
