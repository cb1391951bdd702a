"""Whether generated images are copies: each beside the training images nearest to it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

import numpy as np
import torch
from pydantic import PositiveInt
from torch import Tensor

from dlx.core import Batch, Metric, Picture
from dlx.metrics.generation.comparison import Rows, Training, restored
from dlx.registry import metrics

ASKED = 1000  # images of each set whose neighbours are looked for, at even strides


class Neighbours(NamedTuple):
    """Of some images the nearest training images, the nearest first: distances `(N, K)`, numbers in their split `(N, K)`."""

    distances: Tensor
    numbers: Tensor


@metrics("nearest")
class Nearest(Metric):
    """Median distance of generated images to the nearest training image over that of the split's real images; a picture.

    About 1: as far from the training images as new real ones. Far below 1: copies. Distances are Euclidean, between pixels;
    they are looked for among the whole training split, for up to 1,000 images of each set. The picture has the `most`
    generated images that are nearest to a training image, each with its `neighbours` nearest.
    """

    reads = frozenset({"image"})

    def __init__(
        self,
        channel_mean: list[float],
        channel_std: list[float],
        training: Training,
        *,
        most: PositiveInt = 10,
        neighbours: PositiveInt = 5,
    ) -> None:
        self.mean, self.std, self.training = channel_mean, channel_std, training
        self.most, self.neighbours = most, neighbours
        self.generated, self.real = Rows(_pixels), Rows(_pixels)
        self.shape: tuple[int, ...] = ()
        self.found: tuple[int, Neighbours] | None = None  # for how many images, and what

    def update(self, prediction: Batch, batch: Batch) -> None:
        self.generated.add(prediction["image"])
        self.real.add(restored(batch["input"], self.mean, self.std))
        self.shape = tuple(prediction["image"].shape[1:])

    def merge(self, other: Metric) -> None:
        assert isinstance(other, Nearest)
        self.generated.merge(other.generated)
        self.real.merge(other.real)
        self.shape = self.shape or other.shape

    def compute(self) -> dict[str, float]:
        if not self.generated.count:
            return {"nearest_distance": float("nan")}
        nearest = self._search().distances[:, 0]
        generated, real = (float(part.median()) for part in nearest.tensor_split([len(self._asked(self.generated))]))
        return {"nearest_distance": generated / real if real else float("nan")}

    def baseline(self) -> dict[str, float]:
        return {"nearest_distance": 1.0} if self.generated.count else {}

    def _asked(self, rows: Rows) -> Tensor:
        count = min(ASKED, rows.count)
        return torch.from_numpy(rows.values()[np.arange(count) * rows.count // count])

    def _search(self) -> Neighbours:
        """Go through the training split once for the images seen so far."""
        seen = self.generated.count
        if self.found is None or self.found[0] != seen:
            training = (restored(batch["input"], self.mean, self.std) for batch in self.training())
            wanted = torch.cat([self._asked(self.generated), self._asked(self.real)])
            self.found = seen, search(wanted, training, self.neighbours)
        return self.found[1]

    def pictures(self) -> Mapping[str, Picture]:
        if not self.generated.count:
            return {}
        from dlx.pictures.figures import neighbours

        generated = self._asked(self.generated)
        distances, numbers = (values[: len(generated)] for values in self._search())
        first = distances[:, 0].sort(stable=True).indices[: self.most]
        images = self._training_images(numbers[first])
        shown = torch.cat([generated[first][:, None], images], 1).unflatten(-1, self.shape)
        return {"nearest": neighbours(shown.permute(0, 1, 3, 4, 2).numpy(), distances[first].numpy())}

    def _training_images(self, numbers: Tensor) -> Tensor:
        """Fetch training images by their numbers `(N, K)`: uint8 `(N, K, pixels)`."""
        images = torch.zeros(*numbers.shape, int(np.prod(self.shape)), dtype=torch.uint8)
        start = 0
        for batch in self.training():
            stop = start + len(batch["input"])
            here = (start <= numbers) & (numbers < stop)
            if here.any():
                images[here] = restored(batch["input"], self.mean, self.std).cpu().flatten(1)[numbers[here] - start]
            start = stop
        return images


def search(wanted: Tensor, training: Iterable[Tensor], count: int) -> Neighbours:
    """Find, in a stream of images uint8 `(B, C, H, W)`, the `count` nearest to each of `(N, pixels)`, all if fewer.

    Distances are root mean squares over the pixels, from 0 to 1.
    """
    rows = wanted.float() / 255
    best = Neighbours(torch.empty(len(rows), 0), torch.empty(len(rows), 0, dtype=torch.int64))
    start = 0
    for images in training:
        others = images.cpu().flatten(1).float() / 255
        found = _nearest(rows, others, best, count)
        distances = torch.cat([best.distances, found.distances], 1)
        kept = distances.sort(dim=1, stable=True).indices[:, :count]
        numbers = torch.cat([best.numbers, found.numbers + start], 1)
        best, start = Neighbours(distances.gather(1, kept), numbers.gather(1, kept)), start + len(others)
    return best


def _nearest(rows: Tensor, others: Tensor, best: Neighbours, count: int) -> Neighbours:
    """Find the nearest of one batch; those that may be among the best so far have exact distances."""
    squares = torch.addmm(others.square().sum(1)[None], rows, others.T, alpha=-2).add_(rows.square().sum(1)[:, None])
    near, numbers = squares.topk(min(count, len(others)), 1, largest=False)
    near = near.div_(rows.shape[1]).clamp_(min=0).sqrt_()
    # A difference of large products knows small distances badly: a copy would not be at 0.
    worst = best.distances[:, -1:] + 1e-3 if best.distances.shape[1] == count else torch.full((len(rows), 1), torch.inf)
    row, column = (near < worst).nonzero().T
    near[row, column] = (rows[row] - others[numbers[row, column]]).square_().mean(1).sqrt_()
    return Neighbours(near, numbers)


def _pixels(images: Tensor) -> np.ndarray:
    return images.cpu().flatten(1).numpy()
