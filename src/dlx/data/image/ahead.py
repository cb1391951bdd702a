"""A thread that prepares what is needed next; unlike those of an executor, it never holds up the end of the process."""

from __future__ import annotations

import contextlib
import queue
import threading
import weakref
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import torch

PULSE = 0.5  # seconds between two calls of `interrupt` while a result is waited for
PATIENCE = 2.0  # seconds that the thread has to finish what it is at when it is no longer needed

Tasks = queue.SimpleQueue[tuple[Future, Callable[..., Any], tuple] | None]


class Ahead:
    """Calls functions in a thread, one after the other; `close` is what ends whatever such a call may wait for."""

    def __init__(self, close: Callable[[], None]) -> None:
        self.tasks: Tasks = queue.SimpleQueue()
        self.close = close
        thread = threading.Thread(target=_serve, args=(self.tasks,), daemon=True, name="dlx-images")
        thread.start()
        weakref.finalize(self, _end, self.tasks, thread, close)

    def submit(self, call: Callable[..., Any], *arguments: Any) -> Future:
        """Have a function called."""
        future: Future = Future()
        self.tasks.put((future, call, arguments))
        return future

    def wait(self, future: Future, interrupt: Callable[[], None]) -> Any:
        """Return a result, and call `interrupt` now and then until it is there; what that raises ends the waiting for good."""
        try:
            while not future.done():
                with contextlib.suppress(TimeoutError):
                    future.exception(PULSE)
                    break
                interrupt()
        except BaseException:
            self.close()
            raise
        return future.result()


def _serve(tasks: Tasks) -> None:
    _compute_alone()
    while (task := tasks.get()) is not None:
        future, call, arguments = task
        try:
            future.set_result(call(*arguments))
        except BaseException as error:
            future.set_exception(error)
        del task, future, call, arguments  # they hold the data set, which must be free to go


def _compute_alone() -> None:
    """Let this thread's operations start no threads of their own.

    With those there would be more than the machine has cores, and GNU OpenMP would put the threads that train to sleep after
    every operation instead of letting them wait awake.
    """
    torch.get_num_threads()  # takes the process's number first, which would else undo the next line
    torch.set_num_threads(1)  # holds for the calling thread, and is what threads that begin later start from


def _end(tasks: Tasks, thread: threading.Thread, close: Callable[[], None]) -> None:
    tasks.put(None)
    close()
    if thread is not threading.current_thread():
        thread.join(PATIENCE)
