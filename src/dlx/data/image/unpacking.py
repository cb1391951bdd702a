"""Archives as streams of bytes with bounds: a small file may claim, or unpack to, more than any disk holds."""

from __future__ import annotations

import bz2
import gzip
import io
import lzma
import os
import tempfile
import zlib
from collections.abc import Iterable, Iterator, Sequence
from contextlib import closing, contextmanager
from typing import IO, Any

from dlx.errors import ComponentError, DlxError
from dlx.storage import files

TAR = (".tar", ".tar.gz", ".tgz", ".tar.bz2", ".tar.xz")
READERS: dict[str, Any] = {".gz": gzip.open, ".tgz": gzip.open, ".bz2": bz2.open, ".xz": lzma.open}
PIECE = 1 << 20
ONCE = 64 * 2**20  # bytes that a reader of archives may ask for at once: no header is as large
RATIO = 100  # unpacked to packed bytes; images, which are compressed themselves, stay near 1
SMALL = 256 * 2**20  # unpacked bytes up to which no ratio is too high
MOST_UNPACKED = 2**40  # unpacked bytes; ImageNet has 0.15 times as many


def stem(file: str) -> str | None:
    """Take the ending of an archive away; None for anything else."""
    return next((file[: -len(ending)] for ending in TAR if file.lower().endswith(ending)), None)


def is_packed(archive: str) -> bool:
    """Return whether an archive is compressed."""
    return os.path.splitext(archive)[1].lower() in READERS


class Bounded(io.RawIOBase):
    """A stream that is read and skipped forwards only, up to `most` bytes; raises OSError beyond them.

    A plain file is skipped in no time; `packed` says that the bytes between must be unpacked.
    """

    def __init__(self, content: IO[bytes], most: int, packed: bool) -> None:
        self.content, self.most, self.packed, self.place = content, most, packed, 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self.place

    def read(self, size: int = -1) -> bytes:
        if not 0 <= size <= ONCE:
            raise OSError(f"a part of {size:,} bytes is asked for at once")
        found = self.content.read(size)
        self._move(self.place + len(found))
        return found

    def seek(self, place: int, whence: int = os.SEEK_SET) -> int:
        if whence != os.SEEK_SET or place < self.place:
            raise OSError("a part of it points backwards")
        if not self.packed:
            self._move(place)
            return self.content.seek(place)
        while self.place < place:
            if not self.read(min(PIECE, place - self.place)):
                break
        return self.place

    def _move(self, place: int) -> None:
        self.place = place
        if self.packed and place > self.most:
            raise OSError(f"unpacks to more than {self.most:,} bytes, {RATIO} times its size")


@contextmanager
def reading(archive: str) -> Iterator[Bounded]:
    """Open an archive as the bytes of a plain tar file; raises OSError, and what decompressors raise at damaged bytes."""
    with files.opened(archive) as packed:
        most = min(MOST_UNPACKED, max(SMALL, RATIO * os.fstat(packed.fileno()).st_size))
        reader = READERS.get(os.path.splitext(archive)[1].lower())
        if not reader:
            yield Bounded(packed, most, packed=False)
            return
        try:
            with reader(packed, "rb") as content:
                yield Bounded(content, most, packed=True)
        except (zlib.error, lzma.LZMAError) as error:
            raise OSError(str(error)) from None


def reading_all(file: str, most: int) -> bytes:
    """Unpack a compressed file into memory; raises as `reading` does, and where it is larger than `most` bytes."""
    pieces, size = [], 0
    with reading(file) as content:
        while piece := content.read(PIECE):
            pieces.append(piece)
            size += len(piece)
            if size > most:
                raise files.too_large(file, most)
    return b"".join(pieces)


class Plain:
    """Archives as plain tar files: compressed ones are unpacked once, when they are first needed, into files without a name.

    Such a file is gone with this process, whatever ends it. `numbers` are those of the archives that are needed.
    """

    def __init__(self, archives: Sequence[str], folder: str) -> None:
        self.archives, self.folder = archives, folder
        self.copies: dict[int, IO[bytes]] = {}

    def __getitem__(self, number: int) -> str | int:
        """Give the path of an archive, or the descriptor of its copy."""
        return self.copies[number].fileno() if number in self.copies else self.archives[number]

    def prepare(self, numbers: Iterable[int]) -> list[int]:
        """Unpack the archives that need it; gives the descriptors. Raises ComponentError, and DlxError where the disk is full."""
        numbers = [number for number in numbers if is_packed(self.archives[number])]
        for number in numbers:
            if number not in self.copies:
                self.copies[number] = self._unpack(self.archives[number])
        return [self.copies[number].fileno() for number in numbers]

    def _unpack(self, archive: str) -> IO[bytes]:
        copy = tempfile.TemporaryFile(dir=self.folder)  # noqa: SIM115
        try:
            with reading(archive) as content:
                while piece := _piece(archive, content):
                    _add(copy, piece, self.folder)
        except BaseException:
            copy.close()
            raise
        return copy

    def close(self) -> None:
        """Let the copies go."""
        for copy in self.copies.values():
            copy.close()
        self.copies = {}


def _piece(archive: str, content: Bounded) -> bytes:
    try:
        return content.read(PIECE)
    except (OSError, EOFError, zlib.error, lzma.LZMAError) as error:
        raise ComponentError(f"{archive}: cannot be read as an archive: {error}", ("path",)) from None


def _add(copy: IO[bytes], piece: bytes, folder: str) -> None:
    try:
        copy.write(piece)
        copy.flush()
    except OSError as error:
        raise DlxError(
            f"{folder}: cannot take an unpacked archive: {error.strerror}; make room, or name another cache"
        ) from None


@contextmanager
def unpacked(archives: Sequence[str], folder: str) -> Iterator[Plain]:
    """Give archives as plain tar files until the end of the block."""
    with closing(Plain(archives, folder)) as plain:
        yield plain
