"""Checkpoints: directories that appear by one rename and are read only if every byte is the one written.

A kill, a full disk or a power cut leaves the old checkpoint or the new one. Hidden siblings hold what is under way:
`.NAME.partial` is being written, `.NAME.replaced` waits until the new one has its name, `.NAME.removed` is being deleted.
Links `best` and `last` are for people: what is best is read from the state of the newest checkpoint.
"""

from __future__ import annotations

import errno
import os
import re
import shutil
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from dlx.errors import DlxError
from dlx.storage import files
from dlx.storage.manifest import MANIFEST, VERSION, CheckpointError, is_whole, manifest, read, validity, verify

__all__ = ["MANIFEST", "VERSION", "CheckpointError", "read", "validity", "verify"]  # of one checkpoint: manifest.py

STEP = re.compile(r"step-(\d{1,18})")
HIDDEN = re.compile(r"\.(.+)\.(partial|replaced|removed)")
POINTERS = ("best", "last")
TRIES = 3  # listings, where the process that trains replaces checkpoints meanwhile
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)  # what file systems without links say: FAT, some network ones


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


def write(folder: Path, contents: Mapping[str, bytes]) -> Path:
    """Save files as the checkpoint `folder`; what is there already stays valid until the new one is in place.

    The parent directory must exist. Raises DlxError when the system refuses; then no new checkpoint is left half done.
    """
    for name in contents:
        if name in ("", MANIFEST) or name.startswith(".") or Path(name).name != name:
            raise ValueError(f"{name!r} is no name for a file of a checkpoint")
    partial = _hidden(folder, "partial")
    with reported(f"save checkpoint {folder}"):
        _settle(folder)
        try:
            _fill(partial, contents)
            _place(partial, folder)
        except BaseException:
            shutil.rmtree(partial, ignore_errors=True)
            raise
    return folder


def _hidden(folder: Path, kind: str) -> Path:
    return folder.with_name(f".{folder.name}.{kind}")


def _fill(partial: Path, contents: Mapping[str, bytes]) -> None:
    os.mkdir(partial)
    # All is written before the first is synced, so that the file system can commit once; the manifest comes last.
    with ExitStack() as opened:
        handles = []
        for name, content in [*contents.items(), (MANIFEST, manifest(contents))]:
            handles.append(opened.enter_context(open(partial / name, "xb")))
            handles[-1].write(content)
            handles[-1].flush()
        for handle in handles:
            os.fsync(handle.fileno())
    sync_folder(partial)


def _place(partial: Path, folder: Path) -> None:
    replaced = _hidden(folder, "replaced")
    replaces = os.path.lexists(folder)
    if replaces:  # a directory cannot be renamed over a full one; readers know the hidden name
        os.rename(folder, replaced)
    try:
        os.rename(partial, folder)
    except BaseException:
        if replaces and not os.path.lexists(folder):
            os.rename(replaced, folder)
        raise
    sync_folder(folder.parent)  # before the old one goes
    if replaces:
        _delete(replaced)


def _delete(place: Path) -> None:
    """Delete a directory with all that is in it; of a link, the link alone."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place)
    else:
        place.unlink()


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


def copies(folder: Path) -> list[Path]:
    """List the directories `best` and `last` that a copying tool made of the links, valid or not."""
    places = [folder / name for name in reversed(POINTERS)]
    return [place for place in places if not place.is_symlink() and (place / MANIFEST).is_file()]


def newest_valid(folder: Path, refuse: Callable[[Path], str | None] = lambda path: None) -> tuple[Path | None, list[str]]:
    """Find the newest checkpoint that can be read and is not refused, and say what is wrong with newer ones.

    Returns None only where there is no checkpoint; raises CheckpointError where there are some and all are damaged.
    """
    for _ in range(TRIES):
        complaints, gone = list[str](), False
        for path in [*_candidates(folder), *copies(folder)]:
            if (complaint := validity(path) or refuse(path)) is None:
                return path, complaints
            if _is_gone(path):
                gone = True
            else:
                complaints.append(complaint)
        if not gone:  # else the process that trains has just put a newer one in its place
            break
    if complaints:
        raise CheckpointError("\n".join([f"no checkpoint in {folder} can be read", *complaints]))
    return None, []


def _is_gone(folder: Path) -> bool:
    try:
        os.lstat(folder)
    except FileNotFoundError:
        return True
    except OSError:  # it cannot be read, which is no proof
        return False
    return False


def point(folder: Path, name: str, target: Path) -> None:
    """Let the symbolic link `folder/name` (best, last) point to a checkpoint in the same directory.

    It takes the place of what a copying tool made of such a link, and of nothing else. Where the file system has no links,
    nothing is lost by going without.
    """
    place, temporary, removed = folder / name, folder / f".{name}.pointer", _hidden(folder / name, "removed")
    with reported(f"let {place} point to {target.name}"):
        if not _is_pointer(place):
            raise DlxError(f"{place} is nothing that dlx made; move it away, so that it can point to {target.name}")
        temporary.unlink(missing_ok=True)
        try:
            os.symlink(target.name, temporary, target_is_directory=True)
        except OSError as error:
            if error.errno in NO_LINKS:
                return
            raise
        if place.is_dir() and not place.is_symlink():
            if os.path.lexists(removed):
                _delete(removed)
            os.rename(place, removed)
        os.replace(temporary, place)
        sync_folder(folder)
        if os.path.lexists(removed):
            _delete(removed)


def _is_pointer(place: Path) -> bool:
    """Tell whether a name is free, a link, or what copying makes of a link: the checkpoint, or a file that names it."""
    if place.is_symlink() or not place.exists():
        return True
    if place.is_file():
        return place.stat().st_size <= 40 and STEP.fullmatch(files.read(place, 40).decode(errors="replace").strip()) is not None
    return (place / MANIFEST).is_file()


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
        _delete(removed)


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


def settle_copy(copy: Path, step: int) -> None:
    """Give a valid copy the name of its step, or delete it where a valid checkpoint has that name."""
    folder = copy.with_name(step_name(step))
    with reported(f"tidy {copy.parent}"):
        if is_whole(folder):
            remove(copy)
            return
        if os.path.lexists(folder):
            _delete(folder)
        os.rename(copy, folder)
        sync_folder(folder.parent)


def _settle(folder: Path) -> None:
    for kind in ("partial", "replaced", "removed"):
        hidden = _hidden(folder, kind)
        if not os.path.lexists(hidden):
            continue
        wanted = not is_whole(folder)
        if wanted and kind == "removed":
            wanted = not any(is_whole(other) for other in steps(folder.parent))
        if wanted and is_whole(hidden):
            if os.path.lexists(folder):
                _delete(folder)
            os.rename(hidden, folder)
            sync_folder(folder.parent)
        else:
            _delete(hidden)
