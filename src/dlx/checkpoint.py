"""Checkpoints: directories that appear by one rename and are read only if every byte is the one written.

A kill, a full disk or a power cut leaves the old checkpoint or the new one. Hidden siblings hold what is under way:
`.NAME.partial` is being written, `.NAME.replaced` waits until the new one has its name, `.NAME.removed` is being deleted.
"""

from __future__ import annotations

import errno
import hashlib
import json
import os
import re
import shutil
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any

from dlx.errors import DlxError

VERSION = 1
MANIFEST = "manifest.json"
STEP = re.compile(r"step-(\d+)")
HIDDEN = re.compile(r"\.(.+)\.(partial|replaced|removed)")


class CheckpointError(DlxError):
    """A checkpoint is damaged, incomplete or of another version."""


@contextmanager
def reported(action: str) -> Iterator[None]:
    """Turn an operating system's error into one message, "cannot ACTION: cause"."""
    try:
        yield
    except OSError as error:
        place = f" ({error.filename})" if error.filename else ""
        raise DlxError(f"cannot {action}: {error.strerror or error}{place}") from error


def sync_folder(folder: Path) -> None:
    """Make the names in a directory durable."""
    if os.name == "nt":  # Windows opens no directories
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # some network file systems sync files only
            raise
    finally:
        os.close(descriptor)


def write(folder: Path, files: Mapping[str, bytes]) -> Path:
    """Save files as the checkpoint `folder`; what is there already stays valid until the new one is in place.

    The parent directory must exist. Raises DlxError when the system refuses; then no new checkpoint is left half done.
    """
    for name in files:
        if name in ("", MANIFEST) or name.startswith(".") or Path(name).name != name:
            raise ValueError(f"{name!r} is no name for a file of a checkpoint")
    partial = _hidden(folder, "partial")
    with reported(f"save checkpoint {folder}"):
        _settle(folder)
        try:
            _fill(partial, files)
            _place(partial, folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return folder


def _hidden(folder: Path, kind: str) -> Path:
    return folder.with_name(f".{folder.name}.{kind}")


def _fill(partial: Path, files: Mapping[str, bytes]) -> None:
    os.mkdir(partial)
    # All is written before the first is synced, so that the file system can commit once; the manifest comes last.
    with ExitStack() as opened:
        handles = []
        for name, content in [*files.items(), (MANIFEST, manifest(files))]:
            handles.append(opened.enter_context(open(partial / name, "xb")))
            handles[-1].write(content)
            handles[-1].flush()
        for handle in handles:
            os.fsync(handle.fileno())
    sync_folder(partial)


def _place(partial: Path, folder: Path) -> None:
    replaced = _hidden(folder, "replaced")
    replaces = folder.exists()
    if replaces:  # a directory cannot be renamed over a full one; readers know the hidden name
        os.rename(folder, replaced)
    try:
        os.rename(partial, folder)
    except BaseException:
        if replaces and not folder.exists():
            os.rename(replaced, folder)
        raise
    sync_folder(folder.parent)  # before the old one goes
    if replaces:
        shutil.rmtree(replaced)


def canonical(document: Any) -> bytes:
    """Write JSON in the one form that is accepted back."""
    return json.dumps(document, indent=1, sort_keys=True).encode() + b"\n"


def manifest(files: Mapping[str, bytes]) -> bytes:
    """List sizes and SHA-256 sums of files, with a sum of the list itself."""
    entries = {name: {"sha256": hashlib.sha256(data).hexdigest(), "size": len(data)} for name, data in files.items()}
    document = {"files": entries, "version": VERSION}
    return canonical({**document, "sha256": hashlib.sha256(canonical(document)).hexdigest()})


def read(folder: Path) -> dict[str, bytes]:
    """Read a checkpoint's files; raises CheckpointError unless all are exactly as written."""
    return dict(_checked(folder))


def verify(folder: Path) -> None:
    """Raise CheckpointError, naming the file, unless the checkpoint is exactly as written."""
    deque(_checked(folder), maxlen=0)  # one file in memory at a time


def validity(folder: Path) -> str | None:
    """Say what is wrong with a checkpoint; None if nothing is."""
    try:
        verify(folder)
    except CheckpointError as error:
        return str(error)
    return None


def _checked(folder: Path) -> Iterator[tuple[str, bytes]]:
    real = folder.resolve()  # `best` may come to point elsewhere while we read
    try:
        yield from _contents(real)
    except _Damage as damage:
        raise CheckpointError(f"checkpoint {folder}: {damage}") from None
    except OSError as error:
        name = Path(error.filename).name if error.filename and Path(error.filename) != real else "the directory"
        raise CheckpointError(f"checkpoint {folder}: {name} cannot be read: {error.strerror or error}") from error


class _Damage(Exception):
    pass


def _contents(folder: Path) -> Iterator[tuple[str, bytes]]:
    if not folder.is_dir():
        raise _Damage("no such directory")
    # Hidden files are never ours: file browsers and network file systems leave them (.DS_Store, .nfs0001).
    found = {name for name in os.listdir(folder) if not name.startswith(".")}
    if MANIFEST not in found:
        raise _Damage(f"{MANIFEST} is missing")
    entries = _listed(_content(folder / MANIFEST))
    if extra := found - entries.keys() - {MANIFEST}:
        raise _Damage(f"{min(extra)} is not in the manifest")
    for name, entry in entries.items():
        if name not in found:
            raise _Damage(f"{name} is missing")
        content = _content(folder / name, entry["size"])
        if hashlib.sha256(content).hexdigest() != entry["sha256"]:
            raise _Damage(f"{name} is damaged: its SHA-256 differs from the manifest's")
        yield name, content


def _content(path: Path, size: int | None = None) -> bytes:
    if not path.is_file():  # a pipe would make us wait for ever
        raise _Damage(f"{path.name} is not a regular file")
    if size is not None and path.stat().st_size != size:
        raise _Damage(f"{path.name} has {path.stat().st_size} bytes instead of {size}")
    return path.read_bytes()


def _listed(content: bytes) -> dict[str, Any]:
    try:
        document = json.loads(content)
        rest = {key: value for key, value in document.items() if key != "sha256"}
        whole = canonical(document) == content and document["sha256"] == hashlib.sha256(canonical(rest)).hexdigest()
        version, entries = document["version"], document["files"]
        whole = whole and (version != VERSION or all(entry.keys() == {"sha256", "size"} for entry in entries.values()))
    except (ValueError, RecursionError, AttributeError, KeyError):
        whole = False
    if not whole:
        raise _Damage(f"{MANIFEST} is damaged")
    if version != VERSION:
        raise _Damage(f"format version {version}; this dlx reads version {VERSION}")
    return entries


def step_name(step: int) -> str:
    """Name the checkpoint of a step; the step is in the name alone for people and for sorting."""
    return f"step-{step:08d}"


def steps(folder: Path) -> list[Path]:
    """List the checkpoints in a directory, valid or not, newest first."""
    return [path for path in _candidates(folder) if not path.name.startswith(".")]


def _candidates(folder: Path) -> list[Path]:
    """List checkpoints by step, newest first, and behind each the old one that it was to replace."""
    found = []
    with reported(f"list the checkpoints in {folder}"), suppress(FileNotFoundError), os.scandir(folder) as entries:
        for entry in entries:
            hidden = HIDDEN.fullmatch(entry.name)
            shown = hidden[1] if hidden and hidden[2] == "replaced" else entry.name
            if (match := STEP.fullmatch(shown)) and entry.is_dir(follow_symlinks=False):
                found.append((int(match[1]), shown == entry.name, folder / entry.name))
    return [path for _, _, path in sorted(found, reverse=True)]


def newest_valid(folder: Path) -> tuple[Path | None, list[str]]:
    """Find the newest checkpoint that can be read, and say what is wrong with newer ones.

    Gives None only where there is no checkpoint; raises CheckpointError where there are some and all are damaged.
    """
    complaints: list[str] = []
    for path in _candidates(folder):
        if (complaint := validity(path)) is None:
            return path, complaints
        complaints.append(complaint)
    if complaints:
        raise CheckpointError("\n".join([f"no checkpoint in {folder} can be read", *complaints]))
    return None, []


def point(folder: Path, name: str, target: Path) -> None:
    """Let the symbolic link `folder/name` (best, last) point to a checkpoint in the same directory."""
    temporary = folder / f".{name}.pointer"
    with reported(f"let {folder / name} point to {target.name}"):
        temporary.unlink(missing_ok=True)
        os.symlink(target.name, temporary, target_is_directory=True)
        os.replace(temporary, folder / name)
        sync_folder(folder)


def pointed(folder: Path, name: str) -> Path | None:
    """Follow the symbolic link `folder/name` to its checkpoint; None if there is none."""
    with suppress(OSError):
        target = folder / os.readlink(folder / name)
        return target if target.is_dir() else None
    return None


def remove(folder: Path) -> None:
    """Delete a checkpoint; it vanishes at once, so nothing half deleted ever looks like one."""
    removed = _hidden(folder, "removed")
    with reported(f"remove checkpoint {folder}"):
        _settle(folder)
        os.rename(folder, removed)
        sync_folder(folder.parent)  # else a power cut could keep the deletions and lose the renaming
        shutil.rmtree(removed)


def sweep(folder: Path) -> None:
    """Tidy up after killed saves and removals; only the holder of the run's lock may.

    A whole copy takes its place again if nothing valid has it; a removed one only if no other checkpoint is valid.
    """
    with reported(f"tidy {folder}"):
        hidden = [match for name in sorted(os.listdir(folder)) if (match := HIDDEN.fullmatch(name))]
        for match in sorted(hidden, key=lambda match: match[2] == "removed"):  # removed ones when all else is in place
            _settle(folder / match[1])
        for pointer in folder.glob(".*.pointer"):
            pointer.unlink()


def _settle(folder: Path) -> None:
    for kind in ("partial", "replaced", "removed"):
        hidden = _hidden(folder, kind)
        if not hidden.exists():
            continue
        wanted = not _whole(folder)
        if wanted and kind == "removed":
            wanted = not any(_whole(other) for other in steps(folder.parent))
        if wanted and _whole(hidden):
            if folder.exists():
                shutil.rmtree(folder)
            os.rename(hidden, folder)
            sync_folder(folder.parent)
        else:
            shutil.rmtree(hidden)


def _whole(folder: Path) -> bool:
    """Tell whether a checkpoint is valid; an error in reading is no answer, and raises OSError before anything is deleted."""
    with suppress(_Damage):
        deque(_contents(folder), maxlen=0)
        return True
    return False
