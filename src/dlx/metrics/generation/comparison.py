"""Two sets of images, generated and real, what is kept of each, and how far they are apart."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Self

import numpy as np
import torch
from torch import Tensor

from dlx.core import Batch, Metric

Training = Callable[[], Iterable[Batch]]  # the fact `training`


class Kept:
    """What is kept of a set of images, and how many they were."""

    count = 0

    @abstractmethod
    def add(self, images: Tensor) -> None:
        """Take in uint8 `(B, C, H, W)`."""

    @abstractmethod
    def merge(self, other: Self) -> None:
        """Take in what another has kept."""


class Rows(Kept):
    """A row `(F,)` of numbers for every image, in order."""

    def __init__(self, describe: Callable[[Tensor], np.ndarray]) -> None:
        self.describe, self.parts = describe, list[np.ndarray]()

    def add(self, images: Tensor) -> None:
        self.parts.append(self.describe(images))
        self.count += len(images)

    def merge(self, other: Self) -> None:
        self.parts, self.count = self.parts + other.parts, self.count + other.count

    def values(self) -> np.ndarray:
        """Give all rows `(N, F)`."""
        self.parts = [np.concatenate(self.parts)] if len(self.parts) > 1 else self.parts
        return self.parts[0]


class Comparison(Metric):
    """A metric of two sets of images: those generated, and those real ones that the batches hold.

    Its baseline is what as many training images, taken at even strides, get in the place of the generated ones.
    """

    reads = frozenset({"image"})

    def __init__(
        self,
        channel_mean: list[float],
        channel_std: list[float],
        training: Training | None = None,
        class_counts: list[int] | None = None,
    ) -> None:
        self.mean, self.std = channel_mean, channel_std
        self.training, self.class_counts = training, class_counts
        self.generated, self.real = self.empty(), self.empty()

    @abstractmethod
    def empty(self) -> Any:
        """Make what keeps a set; a `Kept`."""

    @abstractmethod
    def compare(self, found: Any, real: Any) -> dict[str, float]:
        """Tell the numbers of a set of images, held against the real one."""

    def update(self, prediction: Batch, batch: Batch) -> None:
        self.generated.add(prediction["image"])
        self.real.add(restored(batch["input"], self.mean, self.std))

    def merge(self, other: Metric) -> None:
        assert isinstance(other, Comparison)
        self.generated.merge(other.generated)
        self.real.merge(other.real)

    def compute(self) -> dict[str, float]:
        return self.compare(self.generated, self.real)

    def undefined(self) -> str:
        return "it holds one image, and sets of them are compared" if self.real.count < 2 else ""

    def baseline(self) -> dict[str, float]:
        if self.training is None or not self.real.count:
            return {}
        found = self.empty()
        for batch in sample(self.training, self.real.count, self.class_counts):
            found.add(restored(batch["input"], self.mean, self.std))
        return self.compare(found, self.real)


def restored(input: Tensor, mean: list[float], std: list[float]) -> Tensor:
    """Undo the standardisation of `input` `(B, C, H, W)`: uint8, as the file had it."""
    spread, centre = (torch.tensor(values, device=input.device).view(-1, 1, 1) * 255 for values in (std, mean))
    return torch.addcmul(centre, input.float(), spread).round().clamp(0, 255).to(torch.uint8)


def sample(training: Training, count: int, class_counts: list[int] | None = None) -> Iterator[Batch]:
    """Yield `count` samples of the training split, or all where it has fewer, at even strides: some of each batch."""
    total = sum(class_counts) if class_counts else sum(len(batch["input"]) for batch in training())
    seen, count = 0, min(count, total)
    for batch in training():
        number = torch.arange(seen, seen + len(batch["input"]))
        seen += len(number)
        taken = (number + 1) * count // total > number * count // total
        if taken.any():
            yield {word: value[taken] for word, value in batch.items() if isinstance(value, Tensor)}
