"""Learning continuous actions from a replay memory, as random as they can afford to be."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

import torch
from pydantic import PositiveFloat, PositiveInt
from torch import Tensor, nn

from dlx.core import Batch, Loss
from dlx.registry import tasks
from dlx.tasks.control.critics import WithCritics, critics_loss
from dlx.tasks.control.policies import draw_squashed
from dlx.tasks.control.replayed import Share


@tasks("sac")
class SAC(WithCritics):
    """Learn continuous actions by the soft actor-critic: return, and entropy beside it (Haarnoja et al. 2018).

    The model is actor_and_twin_critics, whose critics, actor and temperature have an optimizer each and step in this order.
    Actions are tanh of normal ones. The temperature, which weighs the entropy, keeps it near `target_entropy`, -1 for each
    number of an action unless said; a `temperature` that is a number stays. Every `target_every` updates the target critics
    move the share `tau` of the way to the critics.
    """

    parts = ("critic", "actor", "temperature")
    such_as = "actor_and_twin_critics with stochastic: true"

    def __init__(
        self,
        model: nn.Module,
        action_size: int,
        replay_capacity: int,
        *,
        temperature: PositiveFloat | Literal["automatic"] = "automatic",
        target_entropy: float | None = None,
        tau: Share = 0.005,
        target_every: PositiveInt = 1,
    ) -> None:
        super().__init__(model, tau, target_every, copied=("critic",))
        self.action_size = action_size
        self.fixed = None if isinstance(temperature, str) else temperature
        self.target_entropy = -float(action_size) if target_entropy is None else target_entropy

    def policy(self, seen: Tensor) -> Tensor:
        """Give means and log standard deviations (B, 2 A) of the actions before tanh."""
        return self.model.actor(seen).float()

    def choose(self, batch: Batch) -> Tensor:
        """Choose the actions of the policy's means."""
        return self.policy(self.see(batch["input"])).chunk(2, -1)[0].tanh()

    def explore(self, batch: Batch) -> Batch:
        """Draw actions."""
        return {"action": draw_squashed(self.policy(self.see(batch["input"])))[0]}

    def temperature(self) -> Tensor | float:
        """Give the present weight of the entropy, without gradient."""
        return self.fixed if self.fixed is not None else self.model.temperature().detach()

    def steps(self, batch: Batch, number: int) -> Iterator[Loss]:
        """Yield the losses of the critics, of the actor, and of the temperature where it is not fixed."""
        seen, weight, temperature = self.see(batch["input"]), len(batch["input"]), self.temperature()
        yield self.criticise(seen, batch, temperature)
        action, log_probability = draw_squashed(self.policy(seen))
        value = self.model.critic(seen, action).float().amin(0)
        entropy = -log_probability.detach()
        scalars = {"value": value.detach().mean(), "entropy": entropy.mean()}
        yield Loss((temperature * log_probability - value).mean(), weight, "actor", scalars)
        if self.fixed is None:
            logarithm = self.model.temperature.logarithm
            loss = logarithm * (entropy - self.target_entropy).mean()
            yield Loss(loss, weight, "temperature", {"temperature": temperature})

    def criticise(self, seen: Tensor, batch: Batch, temperature: Tensor | float) -> Loss:
        """Compute the loss of both critics; its feedback are the mean sizes (B,) of their errors."""
        with torch.no_grad():
            later = self.see(batch["next_input"])
            action, log_probability = draw_squashed(self.policy(later))
            worth = self.target["critic"](later, action).float().amin(0) - temperature * log_probability
            wanted = batch["reward"] + batch["discount"] * worth
        return critics_loss(self.model.critic(seen, batch["action"]).float(), wanted, batch)

    def verify(self, batch: Batch) -> None:
        """Refuse an actor and critics that are not for these actions."""
        self.refuse_misfit(batch, self.action_size, 2 * self.action_size, "the policy, mean and deviation of each action,")
