"""Observations of an environment as networks read them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.building import IMAGE

FURTHEST = 10.0  # deviations from the mean beyond which an observation is cut off


class Observations(nn.Module):
    """Scale bytes of images to [0, 1] and, where asked, numbers by the mean and deviation of those observed.

    (B, ...) -> (B, ...). What is observed counts only once it is settled, so that whatever is computed in between, such as the
    probabilities of a rollout's actions, is computed of the same inputs. The statistics are buffers, kept in checkpoints.
    """

    mean: Tensor
    variance: Tensor
    count: Tensor
    new_mean: Tensor
    new_variance: Tensor
    new_count: Tensor

    def __init__(self, input_shape: Sequence[int], normalize: bool) -> None:
        super().__init__()
        self.normalize = normalize
        if normalize and len(input_shape) == IMAGE:
            raise ComponentError("images are scaled to [0, 1] as they are; leave it out", ("normalize",))
        for prefix in ("", "new_") if normalize else ():
            self.register_buffer(f"{prefix}mean", torch.zeros(*input_shape))
            self.register_buffer(f"{prefix}variance", torch.ones(*input_shape))
            self.register_buffer(f"{prefix}count", torch.tensor(0))

    def forward(self, input: Tensor) -> Tensor:
        if input.dtype == torch.uint8:
            return input.float() / 255
        if not self.normalize:
            return input
        return ((input - self.mean) * torch.rsqrt(self.variance + 1e-8)).clamp(-FURTHEST, FURTHEST)

    def observe(self, input: Tensor) -> None:
        """Count observations (B, ...), which change nothing before `settle`."""
        if self.normalize:
            new = (self.new_mean, self.new_variance, self.new_count)
            merge(*new, input.mean(0), input.var(0, correction=0), input.new_tensor(len(input), dtype=torch.int64))

    def settle(self) -> None:
        """Let all that was counted change the mean and the deviation."""
        if self.normalize:
            merge(self.mean, self.variance, self.count, self.new_mean, self.new_variance, self.new_count)
            self.new_count.zero_()


@torch.no_grad()
def merge(mean: Tensor, variance: Tensor, count: Tensor, new_mean: Tensor, new_variance: Tensor, new_count: Tensor) -> None:
    """Change mean, variance and count, in place, to those of two sets of numbers together (Chan et al. 1979)."""
    share = new_count / (count + new_count).clamp_min(1)
    distance = new_mean - mean
    variance.lerp_(new_variance, share).add_(distance.square() * (share * (1 - share)))
    mean.add_(distance * share)
    count.add_(new_count)
