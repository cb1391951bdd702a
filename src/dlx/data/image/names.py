"""Which image files there are: their names, and what tells that one has changed."""

from __future__ import annotations

import hashlib
import logging
import os
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from dlx.errors import ComponentError

SHOWN = 5  # names that a message gives
Reference = tuple[str | int, int, int]  # a file or an open descriptor, the place in it or -1 for all of it, count of bytes
log = logging.getLogger("dlx")


class Plain(Protocol):
    """Archives by number, each as a plain tar file: its path, or a descriptor."""

    def __getitem__(self, number: int, /) -> str | int: ...


@dataclass
class Names:
    """Files below a root, in a fixed order: nothing heavier than a string a file.

    `stamps` holds size, time of change (ns), time of the inode's change (ns) and, for a member of an archive, its place in
    bytes, else -1, of each file in turn. `containers` numbers the archive a file lies in, counted from 1; 0 is the root.
    """

    root: str
    names: list[str] = field(default_factory=list)
    stamps: array = field(default_factory=lambda: array("q"))
    containers: array = field(default_factory=lambda: array("b"))
    archives: list[str] = field(default_factory=list)
    links: list[str] = field(default_factory=list)  # that were not followed
    special: list[str] = field(default_factory=list)  # pipes, devices and sockets that are named as images are
    others: Counter[str] = field(default_factory=Counter)  # endings of the files that are no images

    def add(self, name: str, stamp: Iterable[int], container: int = 0) -> None:
        """Enter one file."""
        self.names.append(name)
        self.stamps.extend(stamp)
        self.containers.append(container)

    def part(self, rows: np.ndarray) -> Names:
        """Return some of the files, in the order of their numbers `rows`; what was passed over belongs to the whole."""
        chosen = Names(self.root, [self.names[row] for row in rows.tolist()], archives=self.archives)
        chosen.stamps.frombytes(np.array(self.stamps, np.int64).reshape(-1, 4)[rows].tobytes())
        chosen.containers.frombytes(np.array(self.containers, np.int8)[rows].tobytes())
        return chosen

    def used(self) -> list[int]:
        """List the numbers, counted from 0, of the archives that files lie in."""
        return sorted({container - 1 for container in self.containers if container})

    def digest(self) -> str:
        """Hash names and stamps: another file, or a change of one, gives another digest."""
        found = hashlib.sha256()
        for start in range(0, len(self.names), 10_000):
            found.update("\0".join(self.names[start : start + 10_000]).encode("utf-8", "surrogateescape") + b"\0")
        found.update(self.stamps.tobytes())
        return found.hexdigest()

    def reference(self, row: int, plain: Plain) -> Reference:
        """Tell where a file's bytes are: file, place and count; `plain` has the plain file of every archive."""
        size, _, _, offset = self.stamps[4 * row : 4 * row + 4]
        container = self.containers[row]
        return (plain[container - 1], offset, size) if container else (os.path.join(self.root, self.names[row]), -1, size)

    def listed(self, rows: Sequence[int], plain: Plain) -> tuple[list[Reference], list[str]]:
        """Tell the references and the names of some files."""
        return [self.reference(row, plain) for row in rows], [self.names[row] for row in rows]

    def report(self) -> None:
        """Warn of links that were not followed and of pipes and devices, and tell of files that are no images."""
        for names, one, several in (
            (self.links, "link was not followed", "links were not followed"),
            (self.special, "is no regular file and was passed over", "are no regular files and were passed over"),
        ):
            if names:
                log.warning("%s: %s", self.root, counted(names, one, several))
        if self.others:
            kinds = ", ".join(f"{kind or 'no ending'} {count:,}" for kind, count in self.others.most_common(SHOWN))
            log.info("%s: %s files that are no images were passed over: %s", self.root, f"{self.others.total():,}", kinds)


def counted(names: Sequence[str], one: str, several: str) -> str:
    """Say how many there are, and name the first."""
    more = ", ..." if len(names) > SHOWN else ""
    return f"{len(names):,} {one if len(names) == 1 else several}: {', '.join(names[:SHOWN])}{more}"


def stamp(status: os.stat_result) -> tuple[int, int, int, int]:
    """Take from a file's status what changes with the file."""
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns, -1


def walk(root: str, endings: Iterable[str], tops: Iterable[str] | None = None, follow_links: bool = False) -> Names:
    """Find the images below a folder, in the order of their names; `tops` are the only folders in it that are entered.

    Links out of the folder, and links to folders, are not followed unless asked for; then a link to a folder that it lies in
    is not. Raises ComponentError where a folder cannot be read.
    """
    found = Names(root)
    try:
        _Walk(found, frozenset(endings), follow_links).go(None if tops is None else frozenset(tops))
    except OSError as error:
        raise ComponentError(f"{error.filename}: cannot be read: {error.strerror}", ("path",)) from None
    return found


class _Walk:
    def __init__(self, found: Names, wanted: frozenset[str], follow_links: bool) -> None:
        self.found, self.wanted, self.follow_links = found, wanted, follow_links
        self.real = os.path.realpath(found.root) + os.sep

    def go(self, tops: frozenset[str] | None) -> None:
        folders: list[tuple[str, tuple[str, ...]]] = [("", (self.real,))]  # each with the real folders that it lies in
        while folders:
            prefix, above = folders.pop()
            with os.scandir(os.path.join(self.found.root, prefix)) as scanned:
                entries = sorted((entry for entry in scanned if not entry.name.startswith(".")), key=lambda entry: entry.name)
            if tops is not None and not prefix:
                entries = [entry for entry in entries if entry.name in tops]
            inner = [(prefix + entry.name + "/", below) for entry in entries if (below := self._enter(prefix, entry, above))]
            folders.extend(reversed(inner))

    def _enter(self, prefix: str, entry: os.DirEntry[str], above: tuple[str, ...]) -> tuple[str, ...]:
        """Enter a file, or tell the real folders that a folder to be entered lies in, with its own."""
        name = prefix + entry.name
        if entry.is_symlink():
            real = os.path.realpath(entry.path)
            if entry.is_dir():
                if not self.follow_links or real + os.sep in above:
                    self.found.links.append(name)
                    return ()
                return (*above, real + os.sep)
            if not self.follow_links and not real.startswith(self.real):
                self.found.links.append(name)
                return ()
        elif entry.is_dir():
            return (*above, above[-1] + entry.name + os.sep)
        ending = os.path.splitext(entry.name)[1].lower()
        if ending not in self.wanted:
            self.found.others[ending] += 1
        elif not entry.is_file():
            self.found.special.append(name)
        else:
            self.found.add(name, stamp(entry.stat()))
        return ()
