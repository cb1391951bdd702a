"""Images that are decoded whenever they are asked for, where no cache is wanted."""

from __future__ import annotations

import contextlib
import math
import os
import tempfile
import threading
import weakref
from collections.abc import Callable, Sequence

import numpy as np

from dlx.data.image_workers import Listed, Workers
from dlx.errors import DlxError
from dlx.processors.image_decoding import Decoding


class OnDemand:
    """Decodes rows by workers that are started once and write to one scratch file; 0 workers: this process does.

    `order(rows)` tells references and names. Calls from several threads follow one another.
    """

    def __init__(self, decoding: Decoding, order: Callable[[Sequence[int]], Listed], num_workers: int) -> None:
        self.decoding, self.order, self.num_workers = decoding, order, num_workers
        self.lock = threading.Lock()
        self.scratch = ""

    def __call__(self, rows: Sequence[int]) -> np.ndarray:
        """Decode rows: uint8 `(n, C, H, W)`. Raises DlxError where a file has become unusable."""
        with self.lock:
            if not self.scratch:
                self._start()
            share = -(-len(rows) // max(self.num_workers, 1))
            orders = [range(start, min(start + share, len(rows))) for start in range(0, len(rows), share)]
            for answer in self.workers.decode(orders, lambda places: self.order(rows[places.start : places.stop])):
                for place, why in answer["faults"].items():
                    raise DlxError(f"{self.order([rows[int(place)]])[1][0]}: {why}")
            size = math.prod(self.decoding.shape)
            return np.fromfile(self.scratch, np.uint8, len(rows) * size).reshape(-1, *self.decoding.shape)

    def _start(self) -> None:
        opened, self.scratch = tempfile.mkstemp(prefix="dlx-images-")
        os.close(opened)
        self.workers = Workers(self.decoding, self.scratch, self.num_workers)
        weakref.finalize(self, _end, self.workers, self.scratch)


def _end(workers: Workers, scratch: str) -> None:
    workers.stop()
    with contextlib.suppress(OSError):  # whoever removed it was faster
        os.unlink(scratch)
