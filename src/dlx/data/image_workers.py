"""Processes that decode images straight into a file of pixels. Run as a program, this module is such a process.

Pillow holds Python's lock while it decodes, so threads would not help; a forked process would inherit torch's locks.
A worker imports no torch, takes orders from its standard input until that closes, and ignores SIGINT and SIGTERM.
"""

from __future__ import annotations

import hashlib
import json
import os
import queue
import select
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from dlx.errors import DlxError
from dlx.processors.image_decoding import BadImage, Decoding, restore

CHUNK = 64  # images to an order
ALONE = 256  # images up to which starting workers takes longer than decoding here
TIMEOUT = 300.0  # seconds without an answer to an order after which a worker is given up
Reference = tuple[str, int, int]  # file, place in it or -1 for all of it, count of bytes
Listed = tuple[list[Reference], list[str]]  # what files are to be decoded, and their names
Order = Callable[[range], Listed]
Answer = dict[str, Any]
HOME = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))  # where dlx lies


def content(reference: Reference) -> bytes:
    """Read an image's bytes. Raises BadImage."""
    file, offset, size = reference
    try:
        with open(file, "rb") as opened:
            if offset < 0:
                return opened.read()
            opened.seek(offset)
            return opened.read(size)
    except OSError as error:
        raise BadImage(f"cannot be read: {error.strerror}") from None


def decode_chunk(decoding: Decoding, target: int, first: int, files: Sequence[Reference], names: Sequence[str]) -> Answer:
    """Decode images to their rows of an open file; answers the faults by row and a digest of every file's bytes."""
    size = decoding.channels * decoding.height * decoding.width
    faults, digests = {}, []
    for row, (reference, name) in enumerate(zip(files, names, strict=True), first):
        digest = 0
        try:
            read = content(reference)
            digest = int.from_bytes(hashlib.blake2b(read, digest_size=8).digest(), "little")
            pixels = decoding(read, name).tobytes()
            if os.pwrite(target, pixels, row * size) != size:
                raise OSError("the disk took only a part of an image")
        except BadImage as error:
            faults[str(row)] = str(error)
        digests.append(digest)
    return {"first": first, "faults": faults, "digests": digests}


def decode_all(decoding: Decoding, target: str, orders: Sequence[range], order: Order, num_workers: int) -> Iterator[Answer]:
    """Decode rows once by workers; `order(rows)` tells their references and names. Answers come in no fixed order."""
    few = sum(map(len, orders)) <= ALONE
    workers = Workers(decoding, target, 0 if few else min(num_workers, len(orders)))
    try:
        yield from workers.decode(orders, order)
    finally:
        workers.stop()


class Workers:
    """Decoding processes that fill rows of one file; with a count of 0, this process does."""

    def __init__(self, decoding: Decoding, target: str, count: int) -> None:
        self.decoding, self.target = decoding, target
        self.processes = [Worker(decoding, target) for _ in range(count)]

    def decode(self, orders: Sequence[range], order: Order) -> Iterator[Answer]:
        """Have rows decoded, and yield an answer an order, in no fixed order."""
        if self.processes:
            yield from _drive(self.processes, orders, order)
            return
        opened = os.open(self.target, os.O_WRONLY)
        try:
            yield from (decode_chunk(self.decoding, opened, rows.start, *order(rows)) for rows in orders)
        finally:
            os.close(opened)

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


class Worker:
    """A decoding process."""

    def __init__(self, decoding: Decoding, target: str) -> None:
        command = [sys.executable, "-P", "-m", "dlx.data.image_workers", json.dumps(decoding.state_dict()), target]
        # A group of its own: Ctrl-C in the terminal reaches dlx only, which then ends its workers.
        path = os.pathsep.join(filter(None, [HOME, os.environ.get("PYTHONPATH")]))
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(command, **pipes, env=os.environ | {"PYTHONPATH": path}, process_group=0)  # type: ignore[call-overload]

    def serve(self, first: int, files: Sequence[Reference], names: Sequence[str]) -> Answer:
        """Have one chunk decoded; DlxError where the worker fails or does not answer."""
        assert self.process.stdin
        assert self.process.stdout
        try:
            self.process.stdin.write(json.dumps([first, files, names]).encode() + b"\n")
            self.process.stdin.flush()
            ready, _, _ = select.select([self.process.stdout], [], [], TIMEOUT)
            line = self.process.stdout.readline() if ready else None
        except BrokenPipeError:
            line = b""
        if line is None:
            raise DlxError(f"decoding {names[0]} to {names[-1]} took more than {TIMEOUT:.0f} seconds")
        if not line:
            raise DlxError(f"a worker failed while decoding {names[0]} to {names[-1]} (its exit code: {self.process.wait()})")
        answer = json.loads(line)
        if "error" in answer:
            raise DlxError(f"a worker failed while decoding {names[0]} to {names[-1]}: {answer['error']}")
        return answer

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.communicate()


def main() -> None:
    """Serve orders, one a line, until there are no more."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    decoding, target = restore(json.loads(sys.argv[1])), os.open(sys.argv[2], os.O_WRONLY)
    for line in sys.stdin.buffer:
        try:
            answer = decode_chunk(decoding, target, *json.loads(line))
        except OSError as error:
            answer = {"error": str(error)}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
