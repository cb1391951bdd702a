"""What the contestants of gan_speed.py share: sizes, images, the order of batches, and how steps are timed."""

from __future__ import annotations

import gzip
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from contest import Clock

BATCH, LATENT, WIDTH = 64, 100, 64
RATE, BETAS = 2e-4, (0.5, 0.999)
WARM, LINE = 10, 10  # steps before the clock starts, and from one line of the log to the next


def write_random(folder: Path) -> None:
    """Write random images as idx files, as many as Fashion-MNIST has to train on."""
    import numpy as np

    generator = np.random.default_rng(0)
    for part, count in (("train", 60_000), ("t10k", 100)):
        images = generator.integers(0, 256, (count, 28, 28), np.uint8)
        for kind, array in (("images-idx3", images), ("labels-idx1", np.arange(count, dtype=np.uint8) % 10)):
            head = bytes([0, 0, 8, array.ndim]) + np.array(array.shape, ">u4").tobytes()
            (folder / f"{part}-{kind}-ubyte").write_bytes(head + array.tobytes())


def read_images(folder: Path) -> Any:
    """Read the training images as float32 (N, 28, 28) from -1 to 1."""
    import numpy as np

    file = next(folder.glob("train-images-idx3-ubyte*"))
    content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
    return np.frombuffer(content, np.uint8, offset=16).reshape(-1, 28, 28).astype(np.float32) / 127.5 - 1


def timed(step: Callable[[], Any], steps: int) -> dict[str, float]:
    """Time a function called once a step; it gives back what must be there before the clock stops."""
    clock = Clock()
    for _ in range(WARM):
        ready = step()
    if hasattr(ready, "block_until_ready"):
        ready.block_until_ready()
    clock.start()
    for _ in range(steps):
        ready = step()
    if hasattr(ready, "block_until_ready"):
        ready.block_until_ready()
    return clock.stop(steps)


def indices(size: int) -> Iterator[Any]:
    """Yield the numbers of the images of batch after batch, shuffled anew every epoch."""
    import numpy as np

    generator = np.random.default_rng(0)
    while True:
        order = generator.permutation(size)
        for start in range(0, size - BATCH + 1, BATCH):
            yield order[start : start + BATCH]
