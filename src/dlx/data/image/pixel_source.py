"""A data set of images with any words beside them: uint8 at rest, made ready a batch ahead by a thread."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from functools import partial
from typing import Any

import numpy as np
import torch
from torch import Generator, Tensor

from dlx.augmentation.pipeline import Pipeline
from dlx.core import Batch, Processor
from dlx.data.image.ahead import Ahead
from dlx.data.image.pixels import DecodedImages, Images, pieces
from dlx.data.in_memory import InMemorySource
from dlx.data.options import Batching
from dlx.data.order import generator, permutation

SAMPLED = 10_000  # training images that mean and deviation are taken from, drawn once and for all
SAMPLED_BYTES = 100_000_000  # and no more than these: 664 images of 224x224
EVALUATION_BYTES = 32 * 2**20  # of float32 input to an evaluation batch
ACCELERATORS = ("cuda",)  # whose kernels cover all that augmentations do; for others the processor does it


class PixelSource(InMemorySource):
    """Splits of uint8 images `(N, C, h, w)`, in memory or not, as the word `input`, with whatever lies beside them.

    What becomes of stored words a subclass says: `changed` for training, `whole` for evaluation. A training batch's
    randomness follows from seed, epoch and its first sample's place in the epoch alone. The next batch is prepared by a
    thread while one is used; the position counts those yielded.
    """

    def __init__(
        self,
        seed: int,
        data: Mapping[str, Mapping[str, Any]],
        facts: Mapping[str, Any],
        processor: Processor,
        augment: Pipeline,
        *,
        batching: Batching,
    ) -> None:
        evaluation = max(batching.batch_size, evaluated_at_once(facts["input_shape"]))
        super().__init__(
            seed, data, facts, processor, batch_size=batching.batch_size, drop_last=batching.drop_last,
            evaluation_batch_size=evaluation,
        )  # fmt: skip
        self.augment = augment
        self.interrupt: Callable[[], None] = lambda: None
        self.random_inputs = bool(augment.changes or augment.mixes)  # whether an image differs from one epoch to the next
        # What is decoded anew must not hold up the end of the process; it ends with its workers.
        anew = [value for words in data.values() for value in words.values() if isinstance(value, DecodedImages)]
        self.ahead = Ahead(partial(_close, anew))
        self.device = torch.device("cpu")

    @abstractmethod
    def changed(self, stored: Batch, draw: Generator) -> Batch:
        """Make a training batch of stored words and `index`; only pixels go to `device`."""

    @abstractmethod
    def whole(self, stored: Batch) -> Batch:
        """Make an evaluation batch of stored words, which must stay as they are."""

    def to(self, device: torch.device) -> None:
        """Augment and standardise batches where the model is: the bytes of images go there, a quarter of their `input`.

        Only pixels come from there; the numbers drawn are the same on every device. Copies and kernels of the thread are
        queued on the device's default stream, in one order with those of training.
        """
        if device.type in ACCELERATORS:
            self.device = device

    def _shuffled(self, order: Tensor) -> Callable[[int, int], Batch]:
        epoch, fetch = self.epoch, super()._shuffled(order)  # the epoch now: it moves on before its last batch is fetched
        ahead: dict[int, Future[Batch]] = {}

        def prepare(start: int, stop: int) -> Batch:
            return self.changed(fetch(start, stop), generator(self.seed, epoch, start))

        def prefetched(start: int, stop: int) -> Batch:
            batch = ahead.pop(start, None)
            following = min(stop + self.batch_size, self.size)
            if stop + self.least <= self.size:
                ahead[stop] = self.ahead.submit(prepare, stop, following)
            return self.ahead.wait(batch or self.ahead.submit(prepare, start, stop), self.interrupt)

        return prefetched

    def _evaluate(self, words: Mapping[str, Any]) -> Iterator[Batch]:
        size = len(words["input"])
        for start in range(0, size, self.evaluation_batch_size):
            stop = min(start + self.evaluation_batch_size, size)
            stored = {word: self._stored(value, start, stop) for word, value in words.items()}
            yield {**self.whole(stored), "index": torch.arange(start, stop)}

    def listen(self, interrupt: Callable[[], None]) -> None:
        """Keep what to call while the thread works."""
        self.interrupt = interrupt

    def _stored(self, images: Images, start: int, stop: int) -> Tensor:
        """Read a batch for evaluation; by the thread where it may take long, so that signals are heeded meanwhile."""
        if not isinstance(images, DecodedImages):
            return images[start:stop]
        return self.ahead.wait(self.ahead.submit(images.__getitem__, slice(start, stop)), self.interrupt)


def _close(decoded: Sequence[DecodedImages]) -> None:
    for images in decoded:
        images.close()


def evaluated_at_once(input_shape: Sequence[int]) -> int:
    """Tell how many images of a shape (C, H, W) an evaluation batch may have."""
    return max(1, min(256, EVALUATION_BYTES // (4 * int(np.prod(input_shape)))))


def statistics(images: Images) -> tuple[list[float], list[float]]:
    """Compute each channel's mean and deviation over a sample of the images, in parts of the whole range 0..1.

    The sample is the same for every seed; sums of whole numbers are exact, so threads do not change the result.
    """
    channels, height, width = images.shape[1:]
    most = max(1, min(SAMPLED, SAMPLED_BYTES // (channels * height * width)))
    index = permutation(0, 0, len(images))[:most].sort().values
    total, squares = np.zeros((2, channels), np.uint64)
    for piece in pieces(images, index):  # numpy adds bytes up ten times faster than torch does
        pixels = piece.flatten(2).numpy()
        total += pixels.sum(2, dtype=np.uint64).sum(0)
        squares += np.square(pixels, dtype=np.uint16).sum(2, dtype=np.uint64).sum(0)
    count = len(index) * height * width
    mean = total / count
    std = np.sqrt(np.maximum(squares / count - np.square(mean), 1.0))  # one colour everywhere: one grey level
    return (mean / 255).tolist(), (std / 255).tolist()
