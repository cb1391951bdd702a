"""What tasks share that train an actor by two critics of its actions."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor, nn

from dlx.core import Batch, Loss
from dlx.errors import ComponentError
from dlx.tasks.control.base import weighed
from dlx.tasks.control.replayed import Replayed


class WithCritics(Replayed):
    """Train the parts of a model such as actor_and_twin_critics; `target` has copies of some of them."""

    such_as: ClassVar[str]  # which model has all the parts

    def __init__(self, model: nn.Module, tau: float, target_every: int, copied: tuple[str, ...]) -> None:
        children = dict(model.named_children())
        if missing := [part for part in self.parts if part not in children]:
            wanted = ", ".join(self.parts)
            raise ComponentError(f"wants a model with the parts {wanted}, such as {self.such_as}; this one has no {missing[0]}")
        super().__init__(model, tau, target_every, copied)

    def refuse_misfit(self, batch: Batch, action_size: int, outputs: int, what: str) -> None:
        """Raise ComponentError where actor or critics are not for these actions."""
        seen = self.see(batch["input"])
        self.refuse_shape(self.model.actor(seen), outputs, what, ("stochastic",))
        values = self.model.critic(seen, torch.zeros(len(seen), action_size, device=seen.device))
        if values.shape != (2, len(seen)):
            raise ComponentError(f"its critic gives {tuple(values.shape)} to {len(seen)} actions instead of (2, {len(seen)})")


def critics_loss(values: Tensor, wanted: Tensor, batch: Batch) -> Loss:
    """Compute the sum of both critics' halved squared errors, values (2, B) against (B,)."""
    errors = values - wanted
    size = errors.detach().abs().mean(0)
    loss = weighed(errors.square().sum(0) / 2, batch)
    return Loss(loss, len(wanted), "critic", {"td_error": size.mean()}, size)
