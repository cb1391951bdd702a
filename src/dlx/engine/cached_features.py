"""No work twice: what a frozen backbone makes of an image is computed once, and training goes on from there."""

from __future__ import annotations

import logging
import tempfile
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from typing import Any, cast

import numpy as np
import torch
from torch import Tensor

from dlx.core import Act, Batch, FrozenBackbone, Processor, Source, Task
from dlx.engine.device import Device
from dlx.errors import DlxError

LARGE = 2 * 2**30  # bytes of one word of a split above which its values lie in a temporary file instead of in memory
CACHED = "features"

log = logging.getLogger("dlx")


def cached(source: Source, task: Task, device: Device) -> Source:
    """Wrap a source where the model's features may be kept; any other comes back as it is.

    That is so where the model can skip its backbone (`frozen_features`, `extract`, and the batch word `features`), and the
    source can give its order without its images (`order`) and makes each image the same every time (`random_inputs`).
    """
    model = task.model
    skips = isinstance(model, FrozenBackbone) and model.frozen_features and CACHED in task.words
    if skips and source.ordered and not source.random_inputs:
        return CachedFeatures(source, cast(FrozenBackbone, model), device)
    return source


class CachedFeatures(Source):
    """A source whose batches carry `features` in place of `input`: (B, ...), as the model's `extract` makes them.

    Order, position and facts are those of the source within. A split's features are computed at its first use, in the order
    and the batches of its evaluation: the same ones whenever training is resumed. When the backbone thaws, the images come
    again.
    """

    ordered = True

    def __init__(self, source: Source, model: FrozenBackbone, device: Device) -> None:
        self.source, self.model, self.device = source, model, device
        self.facts: Mapping[str, Any] = source.facts
        self.processor: Processor | None = source.processor
        self.remedy = source.remedy
        self.batches_per_epoch, self.batch_sizes = source.batches_per_epoch, source.batch_sizes
        self.same_shapes = source.same_shapes
        self.kept: dict[str, CachedSplit] = {}
        self.first: dict[str, Batch] = {}  # of each split its first batch, which rehearsals look at more than once

    def listen(self, interrupt: Callable[[], None]) -> None:
        """Let the source within have it."""
        self.source.listen(interrupt)

    def prepare(self, actor: Act | None) -> Iterator[None]:
        """Compute the features of the training split, where they are frozen and not known yet, batch by batch."""
        yield from self.source.prepare(actor)
        if self.model.frozen_features and "train" not in self.kept:
            log.info("computing the features of every training image, once")
            for _ in self.evaluate(actor, "train"):
                yield

    def train(self, actor: Act | None) -> Iterator[Batch]:
        """Yield the batches from the present position to the end of the epoch."""
        if not self.model.frozen_features:
            yield from self.source.train(actor)
            return
        deque(self.prepare(actor), maxlen=0)
        words = self.kept["train"].words
        for index in self.source.order():
            yield {word: value[index] for word, value in words.items()} | {"index": index}

    def hear(self, index: Tensor, feedback: Tensor) -> None:
        """Let the source within hear it."""
        self.source.hear(index, feedback)

    def evaluate(self, actor: Act | None, split: str) -> Iterator[Batch]:
        """Yield the batches of a split in their fixed order."""
        if not self.model.frozen_features:
            return self.source.evaluate(actor, split)
        return self.kept[split].batches() if split in self.kept else self._first_pass(actor, split)

    def _first_pass(self, actor: Act | None, split: str) -> Iterator[Batch]:
        growing: dict[str, SpillingTensor] = {}
        sizes: list[int] = []
        for batch in self.source.evaluate(actor, split):
            if batch["index"][0] != sum(sizes) or batch["index"][-1] - batch["index"][0] + 1 != len(batch["index"]):
                raise DlxError(f"the split '{split}' does not come in its order, so features cannot be kept")
            if sizes:
                batch = self.with_features(batch)
            else:
                batch = self.first[split] = self.first.get(split) or self.with_features(batch)
            sizes.append(len(batch["index"]))
            for word, value in batch.items():
                if word != "index":
                    growing.setdefault(word, SpillingTensor()).append(value)
            yield {word: value.clone() for word, value in batch.items()}  # a model may work in place on what it is given
        self.kept[split] = CachedSplit({word: values.finish() for word, values in growing.items()}, sizes)
        del self.first[split]

    def with_features(self, batch: Batch) -> Batch:
        """Put features, on the CPU, in the place of a batch's input."""
        with torch.no_grad(), self.device.autocast():
            features = self.model.extract(batch["input"].to(self.device.device)).cpu()
        return {word: value for word, value in batch.items() if word != "input"} | {CACHED: features}

    def splits(self) -> list[str]:
        """List the splits that `evaluate` knows."""
        return self.source.splits()

    def numbers(self) -> Mapping[str, float]:
        """Return the numbers of the source within."""
        return self.source.numbers()

    def close(self) -> None:
        """Close the source within."""
        self.source.close()

    def state_dict(self) -> dict[str, Any]:
        """Tell the position of the source within."""
        return self.source.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Return the source within to a position; the weights may be others now, so nothing kept counts."""
        self.kept, self.first = {}, {}
        self.source.load_state_dict(state)


class CachedSplit:
    """A split whose features are known, and the sizes of the batches in which it is evaluated."""

    def __init__(self, words: dict[str, Tensor], sizes: list[int]) -> None:
        self.words, self.sizes = words, sizes

    def batches(self) -> Iterator[Batch]:
        """Yield the batches of the first pass again."""
        start = 0
        for size in self.sizes:
            stop = start + size
            yield {word: value[start:stop].clone() for word, value in self.words.items()} | {"index": torch.arange(start, stop)}
            start = stop


class SpillingTensor:
    """A tensor that grows by batches, and moves to a temporary file when it is large."""

    def __init__(self) -> None:
        self.parts: list[Tensor] = []
        self.bytes = self.length = 0
        self.file: Any = None

    def append(self, part: Tensor) -> None:
        """Take in one batch."""
        self.shape, self.dtype = part.shape[1:], part.dtype
        self.parts.append(part)
        self.bytes, self.length = self.bytes + part.nbytes, self.length + len(part)
        if self.bytes > LARGE:
            self._spill()

    def _spill(self) -> None:
        self.file = self.file or tempfile.TemporaryFile(prefix="dlx-features-")  # noqa: SIM115
        for part in self.parts:
            self.file.write(part.contiguous().view(torch.uint8).numpy())
        self.parts = []

    def finish(self) -> Tensor:
        """Give all of it as one tensor; one in a file is read from there as it is needed."""
        if self.file is None:
            return torch.cat(self.parts)
        self.file.flush()
        # The file has no name: it goes with the last use of the map, whatever becomes of this process.
        flat = torch.from_numpy(np.memmap(self.file, np.uint8, "r+"))
        self.file.close()
        return flat.view(self.dtype).view(self.length, *self.shape)
