"""Images inside tar archives, plain or compressed: nothing is ever extracted, so no member can land anywhere."""

from __future__ import annotations

import os
import tarfile
from collections.abc import Collection, Iterable
from contextlib import suppress
from typing import Any

from dlx.data.image.names import Names, walk
from dlx.data.image.store import Store
from dlx.data.image.unpacking import TAR, reading, stem
from dlx.data.splits import split_named
from dlx.errors import ComponentError

# What tarfile, and the decompressors below it, raise at damaged bytes.
DAMAGED = (tarfile.TarError, OSError, EOFError, ValueError, OverflowError, IndexError, KeyError, TypeError, MemoryError)
INDEX_BYTES = 2**31  # of a kept list of members
Member = tuple[str, int, int]  # name, place in the plain archive, size


def find(
    path: str,
    endings: Iterable[str],
    store: Store | None,
    *,
    wanted_splits: Collection[str] | None = None,
    follow_links: bool = False,
) -> Names:
    """Find the images below a folder, in archives named after splits in it (train.tar.gz), or in one archive.

    Where all wanted splits have folders or archives of their own, only those are looked at.
    """
    wanted = frozenset(endings)
    if os.path.isfile(path):
        if stem(path) is None:
            raise ComponentError(f"{path} is neither a folder nor an archive ({', '.join(TAR)})", ("path",))
        found = Names(os.path.dirname(path))
        _add(found, path, "", wanted, store)
        return found
    tops = _tops(path, wanted_splits)
    found = walk(path, wanted, tops, follow_links)
    for name in sorted(os.listdir(path)):
        split = stem(name)
        if split is not None and split_named(split) and os.path.isfile(os.path.join(path, name)):
            found.others[os.path.splitext(name)[1].lower()] -= 1
            if tops is None or name in tops:
                _add(found, os.path.join(path, name), f"{split}/", wanted, store)
    found.others = +found.others
    return found


def _tops(path: str, wanted_splits: Collection[str] | None) -> list[str] | None:
    """List what in a folder belongs to the wanted splits, if all of these are there; None where all must be looked at."""
    if not wanted_splits:
        return None
    with suppress(OSError):
        named = {name: split_named(stem(name) or name) for name in os.listdir(path)}
        if set(wanted_splits) <= set(named.values()):
            return [name for name, split in named.items() if split in wanted_splits]
    return None


def _add(found: Names, archive: str, prefix: str, wanted: frozenset[str], store: Store | None) -> None:
    status = os.stat(archive)
    found.archives.append(archive)
    index = _index(archive, status, store)
    found.links += [f"{os.path.basename(archive)}: {name}" for name in index["links"]]
    members = []
    for name, offset, size in index["files"]:
        ending = os.path.splitext(name)[1].lower()
        if ending in wanted:
            members.append((name.split("/"), offset, size))
        else:
            found.others[ending] += 1
    strip = _common([parts for parts, _, _ in members])
    for parts, offset, size in sorted((parts[strip:], offset, size) for parts, offset, size in members):
        stamp = (size, status.st_mtime_ns, status.st_ctime_ns, offset)
        found.add(prefix + "/".join(parts), stamp, len(found.archives))


def _common(members: list[list[str]]) -> int:
    """Count the outer folders that all members share, but for that of the class."""
    count = 0
    while members and len({parts[count] for parts in members}) == 1 and min(map(len, members)) > count + 2:
        count += 1
    return count


def _index(archive: str, status: os.stat_result, store: Store | None) -> dict[str, Any]:
    """List an archive's members; kept in the cache, since a compressed one must be read to its end for that."""
    key = f"{os.path.realpath(archive)}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ctime_ns}"
    kept = store.note("archive", key, INDEX_BYTES) if store else None
    if kept is not None:
        return kept
    try:
        files, links = _members(archive)
    except DAMAGED as error:
        raise ComponentError(f"{archive}: cannot be read as an archive: {error or type(error).__name__}", ("path",)) from None
    index = {"files": files, "links": links}
    if store:
        store.keep_note("archive", key, index)
    return index


def _members(archive: str) -> tuple[list[Member], list[str]]:
    """List an archive's files, and the names of its links, devices and files with holes, which are not read."""
    files: list[Member] = []
    links: list[str] = []
    with reading(archive) as content, tarfile.open(fileobj=content, mode="r:") as members:
        for member in members:
            members.members = []  # type: ignore[attr-defined]  # a list of all of them would take ten times the memory
            name = os.path.normpath(member.name).lstrip("/")
            if os.path.basename(name).startswith(".") or member.isdir():
                continue
            if member.isreg() and not member.issparse():
                files.append((name, member.offset_data, member.size))
            else:
                links.append(name)
    return files, links
