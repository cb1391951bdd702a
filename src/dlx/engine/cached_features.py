"""No work twice: what a frozen backbone makes of an image is computed once, and training goes on from there."""

from __future__ import annotations

import logging
import tempfile
from collections.abc import Callable, Iterator, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from dlx.core import Batch, Processor, Source, Task
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
    skips = getattr(task.model, "frozen_features", False) and CACHED in task.words
    ordered = hasattr(source, "order") and not getattr(source, "random_inputs", False)
    return CachedFeatures(source, task.model, device) if skips and ordered else source


class CachedFeatures(Source):
    """A source whose batches carry `features` in place of `input`: (B, ...), as the model's `extract` makes them.

    Order, position and facts are those of the source within. A split's features are computed at its first use, in the order
    and the batches of its evaluation: the same ones whenever training is resumed. When the backbone thaws, the images come
    again.
    """

    def __init__(self, source: Source, model: nn.Module, device: Device) -> None:
        self.source, self.model, self.device = source, model, device
        self.facts: Mapping[str, Any] = source.facts
        self.processor: Processor | None = source.processor
        self.batches_per_epoch, self.batch_sizes = source.batches_per_epoch, source.batch_sizes
        self.kept: dict[str, Kept] = {}
        self.first: dict[str, Batch] = {}  # of each split its first batch, which rehearsals look at more than once
        self.between: Callable[[], None] = lambda: None  # called between the batches of a first pass, which may be long

    def train(self, actor: Task | None) -> Iterator[Batch]:
        """Yield the batches from the present position to the end of the epoch."""
        if not self.model.frozen_features:
            yield from self.source.train(actor)
            return
        if "train" not in self.kept:
            log.info("computing the features of every training image, once")
            for _ in self.evaluate(actor, "train"):
                self.between()
        words = self.kept["train"].words
        for index in self.source.order():  # type: ignore[attr-defined]
            yield {word: value[index] for word, value in words.items()} | {"index": index}

    def evaluate(self, actor: Task | None, split: str) -> Iterator[Batch]:
        """Yield the batches of a split in their fixed order."""
        if not self.model.frozen_features:
            return self.source.evaluate(actor, split)
        return self.kept[split].batches() if split in self.kept else self._first_pass(actor, split)

    def _first_pass(self, actor: Task | None, split: str) -> Iterator[Batch]:
        growing: dict[str, Growing] = {}
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
                    growing.setdefault(word, Growing()).append(value)
            yield {word: value.clone() for word, value in batch.items()}  # a model may work in place on what it is given
        self.kept[split] = Kept({word: values.finish() for word, values in growing.items()}, sizes)
        del self.first[split]

    def with_features(self, batch: Batch) -> Batch:
        """Put features, on the CPU, in the place of a batch's input."""
        with torch.no_grad(), self.device.autocast():
            features = self.model.extract(batch["input"].to(self.device.device)).cpu()  # type: ignore[operator]
        return {word: value for word, value in batch.items() if word != "input"} | {CACHED: features}

    def splits(self) -> list[str]:
        """List the splits that `evaluate` knows."""
        return self.source.splits()

    def state_dict(self) -> dict[str, Any]:
        """Tell the position of the source within."""
        return self.source.state_dict()

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Return the source within to a position; the weights may be others now, so nothing kept counts."""
        self.kept, self.first = {}, {}
        self.source.load_state_dict(state)


class Kept:
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


class Growing:
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
