"""Processes that step copies side by side, for environments that take milliseconds. Run as a program, this is such a process.

A worker takes orders from its standard input until that closes, so it ends with its parent, however that ended, and ignores
SIGINT and SIGTERM. What an environment prints goes to standard error.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

import numpy as np

import dlx
from dlx.data.control import exchange
from dlx.data.control.environment import Blueprint
from dlx.data.control.options import EnvironmentOptions
from dlx.data.control.stage import Answer, Here, Stream, joined
from dlx.errors import DlxError

HOME = os.path.dirname(os.path.dirname(os.path.abspath(dlx.__file__)))  # where dlx lies


class Worker:
    """A process with some of the copies."""

    def __init__(self, options: EnvironmentOptions) -> None:
        path = os.pathsep.join(filter(None, [HOME, os.environ.get("PYTHONPATH")]))
        command = [sys.executable, "-P", "-m", "dlx.data.control.workers", json.dumps(asdict(options))]
        try:
            # A group of its own: Ctrl-C in the terminal reaches dlx only, which then ends its workers.
            self.process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                env=os.environ | {"PYTHONPATH": path, "OMP_NUM_THREADS": "1"},
                process_group=0,
            )
        except OSError as error:
            raise DlxError(f"no process for the environment can be started: {error.strerror}; fewer workers may help") from None

    def order(self, values: dict[str, Any]) -> None:
        """Give an order, which `answer` answers."""
        assert self.process.stdin
        try:
            exchange.write(self.process.stdin, values)
        except BrokenPipeError:
            raise self.gone() from None

    def answer(self) -> Answer:
        """Wait for the answer; raises DlxError where the environment or the process failed."""
        assert self.process.stdout
        answer = exchange.read(self.process.stdout)
        if answer is None:
            raise self.gone()
        if "error" in answer:
            raise DlxError(answer["error"])
        return answer

    def gone(self) -> DlxError:
        """Say how the process ended."""
        code = self.process.wait()
        killed = "it was killed, perhaps since memory ran out" if code == -signal.SIGKILL else f"its exit code: {code}"
        return DlxError(f"a process of the environment failed ({killed})")

    def stop(self) -> None:
        """End the process."""
        self.process.kill()
        self.process.wait()
        for file in (self.process.stdin, self.process.stdout):
            if file:
                try:
                    file.close()
                except BrokenPipeError:  # of an order that was never read
                    continue


class Elsewhere:
    """Copies in as many worker processes as the options say: place p is in the worker of number p % workers."""

    def __init__(self, options: EnvironmentOptions) -> None:
        self.workers: list[Worker] = []
        try:
            for _ in range(options.workers):
                self.workers.append(Worker(options))
        except BaseException:
            self.close()
            raise

    def _all(self, places: Sequence[int], order: Callable[[list[int]], dict[str, Any]]) -> Answer:
        """Give every worker the order that concerns its places, by their rows, and join the answers in the order of places."""
        count = len(self.workers)
        parts = [[row for row, place in enumerate(places) if place % count == number] for number in range(count)]
        asked = [(worker, rows) for worker, rows in zip(self.workers, parts, strict=True) if rows]
        for worker, rows in asked:
            worker.order({**order(rows), "places": [places[row] for row in rows]})
        answers, failed = [], list[DlxError]()
        for worker, _ in asked:  # all of them, since an answer that is left would be taken for that of the next order
            try:
                answers.append(worker.answer())
            except DlxError as error:
                failed.append(error)
        if failed:
            raise failed[0]
        back = np.argsort([row for _, rows in asked for row in rows])
        return {word: value[back] for word, value in joined(answers).items()}

    def begin(self, places: Sequence[int], streams: Sequence[Stream], episodes: Sequence[int]) -> Answer:
        """Begin episodes."""
        return self._all(
            places,
            lambda rows: {"what": "begin", "streams": [streams[r] for r in rows], "episodes": [episodes[r] for r in rows]},
        )

    def step(self, places: Sequence[int], actions: np.ndarray, again: bool) -> Answer:
        """Act once in each copy."""
        return self._all(places, lambda rows: {"what": "step", "actions": actions[rows], "again": again})

    def go_to(
        self, places: Sequence[int], streams: Sequence[Stream], episodes: Sequence[int], played: Sequence[np.ndarray]
    ) -> Answer:
        """Play episodes again up to some actions."""
        return self._all(
            places,
            lambda rows: {
                "what": "go_to",
                "streams": [streams[row] for row in rows],
                "episodes": [episodes[row] for row in rows],
                "played": [played[row] for row in rows],
            },
        )

    def close(self) -> None:
        """End the processes."""
        for worker in self.workers:
            worker.stop()


def main() -> None:
    """Serve orders until there are no more."""
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, signal.SIG_IGN)
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    try:
        stage = Here(Blueprint(EnvironmentOptions(**json.loads(sys.argv[1]))))
    except DlxError as error:
        exchange.read(sys.stdin.buffer)
        exchange.write(answers, {"error": str(error)})
        return
    asked: dict[str, Callable[..., Answer]] = {"begin": stage.begin, "step": stage.step, "go_to": stage.go_to}
    while (order := exchange.read(sys.stdin.buffer)) is not None:
        try:
            answer: dict[str, Any] = asked[order.pop("what")](**order)
        except DlxError as error:
            answer = {"error": str(error)}
        exchange.write(answers, answer)


if __name__ == "__main__":
    main()
