"""Images inside tar archives, plain or compressed: nothing is ever extracted, so no member can land anywhere."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import tarfile
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any

from dlx.data.image_listing import SPLITS, Names, walk
from dlx.errors import Misfit

TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")


def stem(file: str) -> str | None:
    """Take the ending of an archive away; None for anything else."""
    return next((file[: -len(ending)] for ending in TAR if file.lower().endswith(ending)), None)


def find(path: str, endings: Iterable[str], cache: str | None) -> Names:
    """Find the images below a folder, in archives named after splits in it (train.tar.gz), or in one archive."""
    wanted = frozenset(endings)
    if os.path.isfile(path):
        if stem(path) is None:
            raise Misfit(f"{path} is neither a folder nor an archive ({', '.join(TAR)})", ("path",))
        found = Names(os.path.dirname(path))
        _add(found, path, "", wanted, cache)
        return found
    found = walk(path, wanted)
    for name in sorted(os.listdir(path)):
        if (split := stem(name)) in SPLITS:
            found.others[os.path.splitext(name)[1].lower()] -= 1
            _add(found, os.path.join(path, name), f"{split}/", wanted, cache)
    found.others = +found.others
    return found


def _add(found: Names, archive: str, prefix: str, wanted: frozenset[str], cache: str | None) -> None:
    status = os.stat(archive)
    found.archives.append(archive)
    index = _index(archive, status, cache)
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


def _index(archive: str, status: os.stat_result, cache: str | None) -> dict[str, Any]:
    """List an archive's members; kept in the cache, since a compressed one must be read to its end for that."""
    key = f"{os.path.realpath(archive)}\0{status.st_size}\0{status.st_mtime_ns}\0{status.st_ctime_ns}"
    kept = cache and os.path.join(cache, f"archive-{hashlib.sha256(key.encode()).hexdigest()[:32]}.json")
    if kept and os.path.exists(kept):
        with open(kept, encoding="utf-8") as file:
            return json.load(file)
    files: list[list[Any]] = []
    links: list[list[Any]] = []
    try:
        with tarfile.open(archive) as members:
            for member in members:
                name = os.path.normpath(member.name).lstrip("/")
                if os.path.basename(name).startswith(".") or member.isdir():
                    continue
                (files if member.isfile() else links).append([name, member.offset_data, member.size])
    except (tarfile.TarError, OSError, EOFError) as error:
        raise Misfit(f"{archive}: cannot be read as an archive: {error}", ("path",)) from None
    index = {"files": files, "links": [link[0] for link in links]}
    if kept:
        os.makedirs(os.path.dirname(kept), exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=cache, delete=False, encoding="utf-8") as written:
            json.dump(index, written)
        os.replace(written.name, kept)
    return index


@contextmanager
def unpacked(archives: Iterable[str], folder: str) -> Iterator[list[str]]:
    """Give every archive as a plain tar file; a compressed one is decompressed into a folder until the end of the block."""
    import bz2
    import gzip
    import lzma

    readers: dict[str, Any] = {".gz": gzip.open, ".tgz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
    with ExitStack() as stack:
        plain = []
        for archive in archives:
            reader = readers.get(os.path.splitext(archive)[1].lower())
            if reader:
                copy = stack.enter_context(tempfile.NamedTemporaryFile(dir=folder, prefix="archive-", suffix=".partial"))
                with reader(archive, "rb") as content:
                    shutil.copyfileobj(content, copy, 1 << 20)
                copy.flush()
                archive = copy.name
            plain.append(archive)
        yield plain
