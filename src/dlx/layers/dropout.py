"""Dropout whose random numbers cost little on a CPU, where torch draws a whole number of its own for every value."""

from __future__ import annotations

import torch
import torch.nn.functional as F
from torch import Tensor, nn

CHANCES = 2**16  # of which a value is kept or not: sixteen random bits decide, four values to a number of 64
LANES = 4
LEAST, MOST = -(2**15), -(2**63)  # the smallest numbers of 16 and of 64 bits


class Dropout(nn.Dropout):
    """Set a share of the values to zero in training, and scale the others up (Srivastava et al. 2014)."""

    def forward(self, input: Tensor) -> Tensor:
        return dropout(input, self.p, self.training)


def dropout(input: Tensor, rate: float, training: bool) -> Tensor:
    """Set values to zero by lot, each with a chance of `rate`, to a part in 65,536; what is kept has the same mean.

    On a CPU alone: elsewhere torch's own is the fast one.
    """
    kept = round((1 - rate) * CHANCES)
    if not training or input.device.type != "cpu" or kept in (0, CHANCES):
        return F.dropout(input, rate, training)
    return input * lots(input, kept).mul_(CHANCES / kept)


def lots(like: Tensor, kept: int) -> Tensor:
    """Return 1 with a chance of `kept` in 65,536, else 0, in a tensor's shape, type and order of memory."""
    if torch.compiler.is_compiling():
        return _traced_lots(like, kept)
    made, count = torch.empty_like(like, requires_grad=False), like.numel()
    drawn = torch.empty(-(-count // LANES), dtype=torch.int64).random_(MOST, None)
    torch.lt(drawn.view(torch.int16)[:count], LEAST + kept, out=made.as_strided((count,), (1,)))
    return made


def _traced_lots(like: Tensor, kept: int) -> Tensor:
    """Return what `lots` does, by operations that can be recorded: of its random bits one in each number is turned over."""
    count = like.numel()
    drawn = torch.randint(MOST, -MOST - 1, (-(-count // LANES),), dtype=torch.int64) ^ MOST
    values = (drawn.view(torch.int16)[:count] < LEAST + kept).to(like.dtype)
    return values.as_strided(like.shape, torch.empty_like(like).stride())
