"""Processes that decode images straight into a file of pixels. Run as a program, this module is such a process.

Pillow holds Python's lock while it decodes, so threads would not help; a forked process would inherit torch's locks.
A worker imports no torch, takes orders from its standard input until that closes, and ignores SIGINT and SIGTERM.
"""

from __future__ import annotations

import errno
import hashlib
import json
import math
import os
import queue
import signal
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dlx.data.image.names import Reference
from dlx.data.image.worker import Worker
from dlx.processors.image.decoding import FILE_BYTES, BadImageError, Decoding, unreadable
from dlx.processors.image.mask_decoding import restore
from dlx.storage import files

CHUNK = 64  # images to an order
ALONE = 256  # images up to which starting workers takes longer than decoding here
Listed = tuple[list[Reference], list[str]]  # what files are to be decoded, and their names
Order = Callable[[range], Listed]
Answer = dict[str, Any]


def content(reference: Reference) -> bytes:
    """Read an image's bytes. Raises BadImageError."""
    file, offset, size = reference
    try:
        if size > FILE_BYTES:
            raise files.too_large(str(file), FILE_BYTES)
        if isinstance(file, int):
            return os.pread(file, size, offset)
        if offset < 0:
            return files.read(file, FILE_BYTES)
        with files.opened(file) as opened:
            opened.seek(offset)
            return opened.read(size)
    except OSError as error:
        raise unreadable(error) from None


def decode_chunk(decoding: Decoding, target: int, first: int, references: Sequence[Reference], names: Sequence[str]) -> Answer:
    """Decode images to their rows of an open file; answers the faults by row, and of every file a digest and its size."""
    size = math.prod(decoding.shape)
    faults, digests, sizes = {}, [], []
    for row, (reference, name) in enumerate(zip(references, names, strict=True), first):
        digest, measured = 0, (0, 0)
        try:
            read = content(reference)
            digest = int.from_bytes(hashlib.blake2b(read, digest_size=8).digest(), "little")
            pixels, measured = decoding.measured(read, name)
            if os.pwrite(target, pixels.tobytes(), row * size) != size:
                raise OSError(errno.ENOSPC, "the disk took only a part of an image")
        except BadImageError as error:
            faults[str(row)] = str(error)
        digests.append(digest)
        sizes.append(measured)
    return {"first": first, "faults": faults, "digests": digests, "sizes": sizes}


def decode_all(
    decoding: Decoding, target: int, orders: Sequence[range], order: Order, num_workers: int, inherited: Sequence[int] = ()
) -> Iterator[Answer]:
    """Decode rows once by workers; `order(rows)` tells their references and names. Answers come in no fixed order.

    `target` and `inherited` are open files: that of the pixels, and those that references name by their descriptors.
    """
    few = sum(map(len, orders)) <= ALONE
    workers = Workers(decoding, target, 0 if few else min(num_workers, len(orders)), inherited)
    try:
        yield from workers.decode(orders, order)
    finally:
        workers.stop()


class Workers:
    """Decoding processes that fill rows of one open file; with a count of 0, this process does."""

    def __init__(self, decoding: Decoding, target: int, count: int, inherited: Sequence[int] = ()) -> None:
        self.decoding, self.target = decoding, target
        self.processes: list[Worker] = []
        try:
            for _ in range(count):
                self.processes.append(Worker(decoding, target, inherited))
        except BaseException:
            self.stop()
            raise

    def decode(self, orders: Sequence[range], order: Order) -> Iterator[Answer]:
        """Have rows decoded, and yield an answer an order, in no fixed order."""
        if self.processes:
            yield from _drive(self.processes, orders, order)
        else:
            yield from (decode_chunk(self.decoding, self.target, rows.start, *order(rows)) for rows in orders)

    def stop(self) -> None:
        """End the processes."""
        for process in self.processes:
            process.stop()


def _drive(workers: Sequence[Worker], orders: Sequence[range], order: Order) -> Iterator[Answer]:
    answers: queue.SimpleQueue[Answer | BaseException] = queue.SimpleQueue()
    left, lock = iter(orders), threading.Lock()

    def drive(worker: Worker) -> None:
        try:
            while True:
                with lock:
                    rows = next(left, None)
                if rows is None:
                    return
                answers.put(worker.serve(rows.start, *order(rows)))
        except BaseException as error:
            answers.put(error)

    for worker in workers:
        threading.Thread(target=drive, args=(worker,), daemon=True).start()
    for _ in orders:
        answer = answers.get()
        if isinstance(answer, BaseException):
            raise answer
        yield answer


def main() -> None:
    """Serve orders, one a line, until there are no more."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    decoding, target = restore(json.loads(sys.argv[1])), int(sys.argv[2])
    for line in sys.stdin.buffer:
        try:
            answer = decode_chunk(decoding, target, *json.loads(line))
        except OSError as error:
            answer = {"error": [error.errno, error.strerror]}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
