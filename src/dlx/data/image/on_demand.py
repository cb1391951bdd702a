"""Images that are decoded whenever they are asked for, where no cache is wanted."""

from __future__ import annotations

import math
import os
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence
from typing import IO

import numpy as np

from dlx.data.image.workers import Listed, Workers
from dlx.errors import DlxError
from dlx.processors.image.decoding import Decoding


class OnDemand:
    """Decodes rows by workers that are started once and write to one scratch file; 0 workers: this process does.

    `order(rows)` tells references and names. Calls from several threads follow one another. The scratch file has no name,
    so that nothing is left behind whatever ends the process.
    """

    def __init__(self, decoding: Decoding, order: Callable[[Sequence[int]], Listed], num_workers: int) -> None:
        self.decoding, self.order, self.num_workers = decoding, order, num_workers
        self.lock = threading.Lock()
        self.scratch: IO[bytes] | None = None

    def __call__(self, rows: Sequence[int]) -> np.ndarray:
        """Decode rows: uint8 `(n, C, H, W)`. Raises DlxError where a file has become unusable."""
        with self.lock:
            scratch = self.scratch or self._start()
            share = -(-len(rows) // max(self.num_workers, 1))
            orders = [range(start, min(start + share, len(rows))) for start in range(0, len(rows), share)]
            try:
                for answer in self.workers.decode(orders, lambda places: self.order(rows[places.start : places.stop])):
                    for place, why in answer["faults"].items():
                        raise DlxError(f"{self.order([rows[int(place)]])[1][0]}: {why}")
            except OSError as error:
                raise _no_room(error) from None
            pixels = np.empty((len(rows), *self.decoding.shape), np.uint8)
            if os.preadv(scratch.fileno(), [pixels.reshape(-1)], 0) != math.prod(pixels.shape):  # type: ignore[list-item]
                raise DlxError(f"{tempfile.gettempdir()}: the scratch file of decoded images is cut short")
            return pixels

    def _start(self) -> IO[bytes]:
        try:
            scratch = self.scratch = tempfile.TemporaryFile(prefix="dlx-images-", buffering=0)  # noqa: SIM115
        except OSError as error:
            raise _no_room(error) from None
        self.workers = Workers(self.decoding, scratch.fileno(), self.num_workers)
        self.end = weakref.finalize(self, _end, self.workers, scratch)
        return scratch

    def close(self) -> None:
        """End the workers; whoever waits for them is told."""
        if self.scratch:
            self.end()


def _no_room(error: OSError) -> DlxError:
    return DlxError(f"{tempfile.gettempdir()}: decoded images cannot be written there: {error.strerror}; TMPDIR names another")


def _end(workers: Workers, scratch: IO[bytes]) -> None:
    workers.stop()
    scratch.close()
