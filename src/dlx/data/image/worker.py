"""One decoding process, and the talk with it: an order a line, an answer a line; one that is silent is told."""

from __future__ import annotations

import json
import logging
import os
import select
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from typing import Any

import dlx
from dlx.data.image.names import Reference
from dlx.errors import DlxError
from dlx.processors.image.decoding import Decoding

TIMEOUT = 300.0  # seconds without an answer to an order after which a worker is given up
STOPPED = 3.0  # seconds without an answer after which a process that was stopped is told
SLOW = 30.0  # and one that works
PULSE = 0.5  # seconds between two looks
HOME = os.path.dirname(os.path.dirname(os.path.abspath(dlx.__file__)))  # where dlx lies
log = logging.getLogger("dlx")


class Worker:
    """A decoding process that writes into an open file; `inherited` are open files that it reads from."""

    def __init__(self, decoding: Decoding, target: int, inherited: Sequence[int] = ()) -> None:
        command = [sys.executable, "-P", "-m", "dlx.data.image.workers", json.dumps(decoding.state_dict()), str(target)]
        path = os.pathsep.join(filter(None, [HOME, os.environ.get("PYTHONPATH")]))
        # A group of its own: Ctrl-C in the terminal reaches dlx only, which then ends its workers.
        try:
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                bufsize=0,
                env=os.environ | {"PYTHONPATH": path},
                process_group=0,
                pass_fds=(target, *inherited),
            )
        except OSError as error:
            raise DlxError(f"no decoding process can be started: {error.strerror}; a smaller num_workers may help") from None
        assert self.process.stdin
        assert self.process.stdout
        self.orders, self.answers = self.process.stdin, self.process.stdout
        os.set_blocking(self.orders.fileno(), False)
        self.talk = threading.Lock()  # held while an order is served

    def serve(self, first: int, files: Sequence[Reference], names: Sequence[str]) -> dict[str, Any]:
        """Have one chunk decoded; DlxError where the worker fails or does not answer, OSError where it cannot write."""
        with self.talk:
            images = f"{names[0]} to {names[-1]}"
            line = self._exchange(json.dumps([first, files, names]).encode() + b"\n", images)
            if not line:
                code = self.process.wait()
                killed = "it was killed, perhaps since memory ran out" if code == -signal.SIGKILL else f"its exit code: {code}"
                raise DlxError(f"a worker failed while decoding {images} ({killed})")
        answer = json.loads(line)
        if "error" in answer:
            raise OSError(*answer["error"])
        return answer

    def _exchange(self, order: bytes, images: str) -> bytes:
        """Write an order and read the line that answers it; empty where the process is gone."""
        talk, answer = select.poll(), b""
        talk.register(self.orders, select.POLLOUT)
        talk.register(self.answers, select.POLLIN)
        silence = Silence(self.process.pid, images)
        try:
            while not answer.endswith(b"\n"):
                ready = talk.poll(PULSE * 1000)
                for file, _ in ready:
                    if file == self.orders.fileno():
                        order = order[os.write(file, order) :]
                        if not order:
                            talk.unregister(self.orders)
                    elif piece := os.read(file, 1 << 16):
                        answer += piece
                    else:
                        return b""
                if not ready:
                    silence.goes_on()
        except BrokenPipeError:
            return b""
        return answer

    def stop(self) -> None:
        """End the process."""
        self.process.kill()  # a stopped process obeys it too
        self.process.wait()
        with self.talk:  # whoever waits for an answer hears of its end
            self.orders.close()
            self.answers.close()


class Silence:
    """The time since an order was given, told once after some seconds."""

    def __init__(self, pid: int, images: str) -> None:
        self.pid, self.images, self.begun, self.told = pid, images, time.monotonic(), False

    def goes_on(self) -> None:
        """Warn of a process that does not answer; raises DlxError where it has had all the time there is."""
        seconds = time.monotonic() - self.begun
        if seconds > TIMEOUT:
            raise DlxError(f"decoding {self.images} took more than {TIMEOUT:.0f} seconds")
        stopped = _is_stopped(self.pid)
        if not self.told and seconds > (STOPPED if stopped else SLOW):
            self.told = True
            state = f"is stopped; `kill -CONT {self.pid}` lets it go on" if stopped else "still works"
            log.warning(
                "waiting for process %d, which decodes %s: it %s. It is given up after %.0f seconds",
                self.pid, self.images, state, TIMEOUT,
            )  # fmt: skip


def _is_stopped(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat", encoding="utf-8", errors="replace") as status:
            return status.read().rpartition(")")[2].split()[0] in "tT"
    except (OSError, IndexError):
        return False
