"""The text of CSV files, plain or gzipped, or of standard input and other pipes: one reader, and no read without bound."""

from __future__ import annotations

import gzip
import io
import os
import sys
import zlib
from collections.abc import Iterable, Iterator
from typing import IO, NamedTuple

from dlx.errors import UsageError

BLOCK = 2**20  # bytes taken at a time
LINE = 16 * 2**20  # bytes of the longest line
WHOLE = 8 * 2**30  # bytes of the longest file, unpacked
UNPACKED, RATIO = 256 * 2**20, 200  # a gzipped file of more bytes than this may unpack to so many times its size
GZIP, UTF_8, UTF_16 = b"\x1f\x8b", b"\xef\xbb\xbf", (b"\xff\xfe", b"\xfe\xff")


class Block(NamedTuple):
    """Whole lines of text, valid UTF-8, and how many lines stand before them."""

    content: bytes
    line: int


class _Raw(io.RawIOBase):
    """A stream whose first bytes have been looked at, and that counts what is read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self.stream, self.count = stream, 0
        self.first = stream.read(len(GZIP))
        self.zipped, self.waiting = self.first == GZIP, self.first

    def readable(self) -> bool:
        return True

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        piece, self.waiting = self.waiting or _available(self.stream, len(buffer)), b""
        buffer[: len(piece)] = piece
        self.count += len(piece)
        return len(piece)


def _available(stream: IO[bytes], most: int) -> bytes:
    return stream.read1(most) if isinstance(stream, io.BufferedReader) else stream.read(most)


def blocks(file: str, wait: bool = True) -> Iterator[Block]:
    """Read a file, or standard input for `-`, whole lines of about a megabyte at a time.

    Without `wait` lines come as they are written by whoever is at the other end. A byte order mark is left out.
    Raises UsageError, with the place, where there is no file, no text, or more than is read.
    """
    name = "standard input" if file == "-" else file
    try:
        if file == "-":
            yield from _blocks(_Raw(sys.stdin.buffer), name, wait)
        else:
            if os.path.isdir(file) or not os.path.exists(file):
                raise UsageError(f"{file}: is no file")
            with open(file, "rb") as stream:
                yield from _blocks(_Raw(stream), name, wait)
    except (EOFError, OSError, zlib.error) as error:
        raise UsageError(f"{name}: cannot be read: {error}") from None


def below_comments(given: Iterable[Block], mark: str) -> Iterator[Block]:
    """Leave out the lines above all others that begin with a mark, such as `#`; a mark of nothing leaves them all."""
    pieces = iter(given)
    for block in pieces if mark else ():
        lines = block.content.splitlines(keepends=True)
        skipped = 0
        while skipped < len(lines) and (not lines[skipped].strip() or lines[skipped].lstrip().startswith(mark.encode())):
            skipped += 1
        if skipped < len(lines):
            yield Block(b"".join(lines[skipped:]), block.line + skipped)
            break
    yield from pieces


def _blocks(raw: _Raw, name: str, wait: bool) -> Iterator[Block]:
    stream = gzip.GzipFile(fileobj=raw) if raw.zipped else io.BufferedReader(raw, BLOCK)
    read = stream.read if wait else stream.read1
    first = stream.read(len(UTF_8))
    buffer, line = bytearray(_without_mark(first, name)), 0
    before = len(first) - len(buffer)
    while piece := read(BLOCK):
        buffer += piece
        _bound(before + len(buffer), raw, name)
        if end := _end_of_lines(buffer):
            block = Block(bytes(buffer[:end]), line)
            del buffer[:end]
            yield _text(block, before, name)
            line, before = line + count_lines(block.content), before + end
        if len(buffer) > LINE:
            raise UsageError(f"{name}:{line + 1}: is longer than {LINE:,} bytes, the longest line that is read")
    if buffer:
        yield _text(Block(bytes(buffer), line), before, name)


def _without_mark(first: bytes, name: str) -> bytes:
    if first[:2] in UTF_16:
        raise UsageError(f"{name}: is UTF-16 text; save it as UTF-8 (iconv -f UTF-16 -t UTF-8)")
    return b"" if first == UTF_8 else first


def _bound(size: int, raw: _Raw, name: str) -> None:
    if size > WHOLE:
        raise UsageError(f"{name}: is longer than {WHOLE:,} bytes, the most that is read")
    if raw.zipped and size > max(UNPACKED, RATIO * raw.count):
        raise UsageError(f"{name}: unpacks to more than {RATIO} times its size; unpack it first if that is right (gunzip)")


def _end_of_lines(buffer: bytearray) -> int:
    """Find where the last whole line ends; a carriage return at the very end may be half of a line's end."""
    return buffer.rfind(b"\n") + 1 or buffer.rfind(b"\r", 0, max(len(buffer) - 1, 0)) + 1


def count_lines(content: bytes) -> int:
    """Count the line ends as an editor does: a line feed, a carriage return, or both together."""
    returns = content.count(b"\r")
    return content.count(b"\n") + (returns - content.count(b"\r\n") if returns else 0)


def _text(block: Block, before: int, name: str) -> Block:
    if (zero := block.content.find(0)) >= 0:
        line = block.line + count_lines(block.content[:zero]) + 1
        raise UsageError(
            f"{name}:{line}: is no UTF-8 text: byte {before + zero + 1:,} is zero, as in UTF-16 or in binary files"
        )
    if not block.content.isascii():
        try:
            block.content.decode()
        except UnicodeDecodeError as error:
            line, byte = block.line + count_lines(block.content[: error.start]) + 1, before + error.start + 1
            raise UsageError(f"{name}:{line}: is no UTF-8 text ({error.reason} at byte {byte:,})") from None
    return block
