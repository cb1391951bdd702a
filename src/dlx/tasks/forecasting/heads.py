"""What the numbers that a model gives for each value mean: a point, quantiles, or a distribution."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

# B: batch, H: steps ahead, T: targets, P: numbers a value, Q: quantiles
LEAST_SCALE = 1e-4  # of a distribution, in deviations of the training part: a certainty that no data justify


class Head(ABC):
    """Meaning of P numbers a value, all of which lie on the axis of the values: shifting or stretching a series does so to each."""

    numbers = 1

    @abstractmethod
    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        """Average the loss of an output (B, H, T, P) over all values (B, H, T)."""

    def point(self, output: Tensor) -> Tensor:
        """Return the forecast (B, H, T) that stands for all."""
        return output[..., 0]

    def quantiles(self, output: Tensor) -> Tensor | None:
        """Return quantiles (B, H, T, Q), ascending; None where there are none."""
        return None


class Point(Head):
    """One number: the forecast itself."""

    def __init__(self, loss: Callable[[Tensor, Tensor], Tensor]) -> None:
        self.function = loss

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        return self.function(output[..., 0], target)


class Quantiles(Head):
    """A number a level, under the pinball loss (Koenker & Bassett 1978); answers are put in order (Chernozhukov et al. 2010)."""

    def __init__(self, levels: Sequence[float]) -> None:
        self.levels, self.numbers, self.middle = list(levels), len(levels), list(levels).index(0.5)

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        below = target[..., None] - output
        levels = torch.tensor(self.levels, dtype=output.dtype, device=output.device)
        return torch.maximum(levels * below, (levels - 1) * below).mean()

    def point(self, output: Tensor) -> Tensor:
        return output.sort(-1).values[..., self.middle]

    def quantiles(self, output: Tensor) -> Tensor:
        return output.sort(-1).values


class Gaussian(Head):
    """The mean, and a number whose distance from it becomes the deviation (softplus), under the likelihood."""

    numbers = 2

    def __init__(self, levels: Sequence[float]) -> None:
        self.levels = list(levels)

    def scale(self, output: Tensor) -> Tensor:
        """Return the scale (B, H, T) of the distributions."""
        return F.softplus(output[..., 1] - output[..., 0]) + LEAST_SCALE

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        scale = self.scale(output)
        return (((target - output[..., 0]) / scale) ** 2 / 2 + scale.log()).mean() + math.log(2 * math.pi) / 2

    def quantiles(self, output: Tensor) -> Tensor:
        levels = torch.tensor(self.levels, dtype=torch.float64)
        apart = torch.special.ndtri(levels).to(output.device, output.dtype)
        return output[..., :1] + self.scale(output)[..., None] * apart


class StudentT(Gaussian):
    """The centre, a number for the scale, and one for the degrees of freedom, which are above 2 (softplus of the distance)."""

    numbers = 3

    def freedom(self, output: Tensor) -> Tensor:
        """Return the degrees of freedom (B, H, T)."""
        return 2 + F.softplus(output[..., 2] - output[..., 0])

    def loss(self, output: Tensor, target: Tensor) -> Tensor:
        made = torch.distributions.StudentT(self.freedom(output), output[..., 0], self.scale(output), validate_args=False)
        return -made.log_prob(target).mean()

    def quantiles(self, output: Tensor) -> Tensor:
        from scipy.special import stdtrit  # torch has no quantiles of this distribution

        freedom = self.freedom(output).double().cpu().numpy()[..., None]
        apart = torch.from_numpy(stdtrit(freedom, self.levels)).to(output.device, output.dtype)
        return output[..., :1] + self.scale(output)[..., None] * apart
