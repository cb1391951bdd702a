"""How a source asks a task to act: without gradients, at its own precision, and in evaluation mode."""

from __future__ import annotations

import torch

from dlx.core import Batch, Task, to_device
from dlx.engine.device import Device


class Actor:
    """Chooses actions for a source that lives in an environment.

    Modules are in evaluation mode for the time of a call, by their own flags, which are put back as they were: a call costs
    microseconds where `eval()` and `train()` walk through the whole model.
    """

    def __init__(self, task: Task, device: Device) -> None:
        self.task, self.device = task, device
        self.flags = [vars(module) for module in task.modules()]  # set by hand: Module's own way takes ten times as long

    @torch.no_grad()
    def __call__(self, batch: Batch, explore: bool) -> Batch:
        """Return what the task does in view of a batch of observations; every word of it is the source's to keep."""
        training = [flags["training"] for flags in self.flags]
        for flags in self.flags:
            flags["training"] = False
        try:
            with self.device.autocast():
                return self.task.act(to_device(batch, self.device.device), explore)
        finally:
            for flags, before in zip(self.flags, training, strict=True):
                flags["training"] = before
