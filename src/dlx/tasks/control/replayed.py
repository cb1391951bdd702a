"""What tasks share that learn from a replay memory: a slow copy of networks that targets are computed by, and a count of updates."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Annotated, Any

import torch
from pydantic import Field
from torch import Tensor, nn

from dlx.core import Batch, Loss
from dlx.tasks.control.base import Control

Share = Annotated[float, Field(gt=0, le=1)]


def frozen(network: nn.Module) -> nn.Module:
    """Copy a network whose parameters become buffers: no optimizer and no moving average knows them, and checkpoints keep them."""
    copied = copy.deepcopy(network)
    for module in copied.modules():
        for name, parameter in list(module.named_parameters(recurse=False)):
            delattr(module, name)
            module.register_buffer(name, parameter.detach().clone())
    return copied


class Replayed(Control):
    """Learn from a replay memory.

    `target` is a copy of parts of the model, or of all of it where none are named: every `target_every` updates it moves the
    share `tau` of the way to the model.
    """

    updates: Tensor
    target: Any

    def __init__(self, model: nn.Module, tau: float, target_every: int, copied: tuple[str, ...] = ()) -> None:
        super().__init__(model)
        self.tau, self.target_every, self.copied = tau, target_every, copied
        self.target = frozen(self.followed())
        self.register_buffer("updates", torch.tensor(0))

    def followed(self) -> nn.Module:
        """Return the networks that `target` follows."""
        model: nn.Module = self.model
        parts = dict(model.named_children())
        return nn.ModuleDict({part: parts[part] for part in self.copied}) if self.copied else model

    def steps(self, batch: Batch, number: int) -> Iterator[Loss]:
        """Yield the losses of the update of a number, counted from 0."""
        raise NotImplementedError

    def losses(self, batch: Batch) -> Iterator[Loss]:
        """Yield the losses of an update, and count it."""
        number = int(self.updates)
        yield from self.steps(batch, number)
        if int(self.updates) == number:  # the first of the micro-batches of one step to come here counts for all
            self.updates.fill_(number + 1)
            self.trained.fill_(True)
            if self.moves(number):
                self.move()

    def moves(self, number: int) -> bool:
        """Tell whether the target moves after the update of a number."""
        return (number + 1) % self.target_every == 0

    @torch.no_grad()
    def move(self) -> None:
        """Move the target towards the networks that it follows; whole numbers and the like are taken over."""
        followed, old = self.followed(), dict(self.target.named_buffers())
        new = {**dict(followed.named_buffers()), **dict(followed.named_parameters())}
        smooth = [name for name, value in old.items() if value.is_floating_point()]
        torch._foreach_lerp_([old[name] for name in smooth], [new[name] for name in smooth], self.tau)
        for name in old.keys() - set(smooth):
            old[name].copy_(new[name])
