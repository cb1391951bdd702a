"""Which images there are: their names, classes, splits, and what tells that a file has changed."""

from __future__ import annotations

import hashlib
import logging
import os
from array import array
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

import numpy as np

from dlx.errors import Misfit

SPLITS = {"train": "train", "val": "val", "valid": "val", "validation": "val", "test": "test"}
SHOWN = 5  # names that a message gives
log = logging.getLogger("dlx")


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
    others: Counter[str] = field(default_factory=Counter)  # endings of the files that are no images

    def add(self, name: str, stamp: Iterable[int], container: int = 0) -> None:
        """Enter one file."""
        self.names.append(name)
        self.stamps.extend(stamp)
        self.containers.append(container)

    def digest(self) -> str:
        """Hash names and stamps: another file, or a change of one, gives another digest."""
        found = hashlib.sha256()
        for start in range(0, len(self.names), 10_000):
            found.update("\0".join(self.names[start : start + 10_000]).encode("utf-8", "surrogateescape") + b"\0")
        found.update(self.stamps.tobytes())
        return found.hexdigest()

    def reference(self, row: int, unpacked: Sequence[str]) -> tuple[str, int, int]:
        """Tell where a file's bytes are: file, place and count; `unpacked` has the plain file of every archive."""
        size, _, _, offset = self.stamps[4 * row : 4 * row + 4]
        container = self.containers[row]
        return (unpacked[container - 1], offset, size) if container else (os.path.join(self.root, self.names[row]), -1, size)

    def listed(self, rows: Sequence[int], unpacked: Sequence[str]) -> tuple[list[tuple[str, int, int]], list[str]]:
        """Tell the references and the names of some files."""
        return [self.reference(row, unpacked) for row in rows], [self.names[row] for row in rows]

    def report(self) -> None:
        """Warn of links that were not followed, and tell of files that are no images."""
        if self.links:
            log.warning("%s: %s", self.root, counted(self.links, "link was not followed", "links were not followed"))
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


def walk(root: str, endings: Iterable[str]) -> Names:
    """Find the images below a folder, in the order of their names; links out of it, and to folders, are not followed.

    Raises Misfit where a folder cannot be read.
    """
    found = Names(root)
    try:
        _walk(found, frozenset(endings), os.path.realpath(root) + os.sep)
    except OSError as error:
        raise Misfit(f"{error.filename}: cannot be read: {error.strerror}", ("path",)) from None
    return found


def _walk(found: Names, wanted: frozenset[str], real: str) -> None:
    folders = [""]
    while folders:
        prefix = folders.pop()
        inner = []
        with os.scandir(os.path.join(found.root, prefix)) as scanned:
            entries = sorted((entry for entry in scanned if not entry.name.startswith(".")), key=lambda entry: entry.name)
        for entry in entries:
            name = prefix + entry.name
            if entry.is_symlink() and (entry.is_dir() or not os.path.realpath(entry.path).startswith(real)):
                found.links.append(name)
            elif entry.is_dir():
                inner.append(name + "/")
            elif (ending := os.path.splitext(entry.name)[1].lower()) not in wanted or not entry.is_file():
                found.others[ending] += 1
            else:
                found.add(name, stamp(entry.stat()))
        folders.extend(reversed(inner))


@dataclass
class Listing:
    """Images with their classes: `labels` int64 `(N,)`, and `splits` by name, each the ascending numbers of its images."""

    files: Names
    class_names: list[str]
    labels: np.ndarray
    splits: dict[str, np.ndarray]


def by_folders(files: Names, layout: str) -> Listing:
    """Read classes and splits from the names: split/class/file, or class/file for one split, called "all"."""
    if not files.names:
        files.report()
        raise Misfit(f"no images in {files.root}", ("path",))
    tops = [name.split("/", 2) for name in files.names]
    if layout == "auto":
        # A class may be called train: as a split, it has folders and no images of its own.
        layout = (
            "splits" if all(len(t) == 3 for t in tops if t[0] in SPLITS) and any(t[0] == "train" for t in tops) else "classes"
        )
    depth = 1 if layout == "splits" else 0
    if stray := [name for name, top in zip(files.names, tops, strict=True) if len(top) < depth + 2]:
        wanted = "split/class/file" if depth else "class/file"
        raise Misfit(
            f"{files.root}: {counted(stray, f'image does not lie in {wanted}', f'images do not lie in {wanted}')}", ("path",)
        )
    if depth and (strange := sorted({top[0] for top in tops} - set(SPLITS))):
        raise Misfit(
            f"{files.root}: beside train, {counted(strange, 'folder is no split', 'folders are no splits')}", ("path",)
        )
    splits = [SPLITS[top[0]] if depth else "all" for top in tops]
    return labelled(files, [top[depth] for top in tops], splits, "path")


def labelled(files: Names, classes: Sequence[str], splits: Sequence[str], blamed: str) -> Listing:
    """Number the classes of the training images in the order of the alphabet; the other splits have no others."""
    trained = "all" if "all" in splits else "train"
    names = sorted({kind for kind, split in zip(classes, splits, strict=True) if split == trained})
    if len(names) < 2:
        raise Misfit(f"{files.root}: the training images have {len(names)} classes; it takes two", (blamed,))
    codes = {name: code for code, name in enumerate(names)}
    if unknown := sorted({f"{split}/{kind}" for kind, split in zip(classes, splits, strict=True) if kind not in codes}):
        raise Misfit(
            f"{files.root}: {counted(unknown, 'class is not in the training split', 'classes are not in the training split')}",
            (blamed,),
        )
    labels = np.fromiter((codes[kind] for kind in classes), np.int64, len(classes))
    parts = np.array(splits)
    return Listing(files, names, labels, {split: np.flatnonzero(parts == split) for split in dict.fromkeys(splits)})
