"""An exponential moving average of a module's parameters."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

import torch
from torch import Tensor, nn


class MovingAverage:
    """Averages parameters; evaluations, checkpoints and predictions use the average.

    The decay warms up as (1 + n) / (10 + n), so that the first steps' random weights are soon forgotten.
    Buffers, such as batch statistics, are averages already and stay the module's own.
    """

    def __init__(self, module: nn.Module, decay: float) -> None:
        self.parameters = {n: p for n, p in module.named_parameters() if p.requires_grad}
        self.average = {n: p.detach().clone() for n, p in self.parameters.items()}
        self.decay, self.updates = decay, 0

    def next_decay(self) -> float:
        """Return the decay of the coming update."""
        return min(self.decay, (2 + self.updates) / (11 + self.updates))

    @torch.no_grad()
    def update(self) -> None:
        """Take in the parameters as they are now."""
        share = 1 - self.next_decay()
        self.updates += 1
        torch._foreach_lerp_(list(self.average.values()), list(self.parameters.values()), share)

    @contextmanager
    @torch.no_grad()
    def applied(self) -> Iterator[None]:
        """Give the module the averages for a while."""
        own = {n: p.detach().clone() for n, p in self.parameters.items()}
        self.put(self.average)
        try:
            yield
        finally:
            self.put(own)

    @torch.no_grad()
    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Return to the averages of a checkpoint."""
        for name, average in self.average.items():
            average.copy_(tensors[name])

    @torch.no_grad()
    def put(self, tensors: Mapping[str, Tensor]) -> None:
        """Copy values into the module's parameters."""
        for name, parameter in self.parameters.items():
            parameter.copy_(tensors[name])
