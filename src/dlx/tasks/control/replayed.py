"""What tasks share that learn from a replay memory: a slow copy of networks that targets are computed by, and a count of updates."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Annotated, Any, Self

import torch
from pydantic import Field
from torch import Tensor, nn

from dlx.core import Batch, Loss
from dlx.tasks.control.base import Control

Share = Annotated[float, Field(gt=0, le=1)]
Pairs = tuple[list[Tensor], list[Tensor]]


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
        self.pairs: tuple[Pairs, Pairs] | None = None  # found once: to look for them takes a twentieth of an update
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
        """Move the target towards the networks that it follows; whole numbers are taken over."""
        if self.pairs is None:
            self.pairs = self.paired()
        smooth, whole = self.pairs
        torch._foreach_lerp_(*smooth, self.tau)
        for old, new in zip(*whole, strict=True):
            old.copy_(new)

    def paired(self) -> tuple[Pairs, Pairs]:
        """List the target's tensors and those that they follow: the ones that move smoothly, and the others."""
        followed = self.followed()
        new = {**dict(followed.named_buffers()), **dict(followed.named_parameters())}
        both = [(old, new[name]) for name, old in self.target.named_buffers()]
        smooth = [pair for pair in both if pair[0].is_floating_point()]
        whole = [pair for pair in both if not pair[0].is_floating_point()]
        return _columns(smooth), _columns(whole)

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        self.pairs = None  # on another device, and in another memory format, they are other tensors
        return super()._apply(fn, recurse)


def _columns(pairs: list[tuple[Tensor, Tensor]]) -> Pairs:
    return [old for old, _ in pairs], [new for _, new in pairs]
