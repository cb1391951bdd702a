"""Learning continuous actions from a replay memory, each the best one and no other."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from dlx.core import Batch, Loss
from dlx.registry import tasks
from dlx.tasks.control.critics import WithCritics, critics_loss
from dlx.tasks.control.replayed import Share


@tasks("td3")
class TD3(WithCritics):
    """Learn continuous actions by deterministic policy gradients with two critics and delays (Fujimoto et al. 2018).

    The model is actor_and_twin_critics with stochastic: false, whose critics and actor have an optimizer each. The actor steps
    every `policy_delay` updates, and then the target networks move the share `tau` of the way. Noise of the deviation
    `exploration_noise` is added to actions to explore; to those that targets are computed by, `target_noise`, cut at
    `noise_clip`. All are in units of an action, which goes from -1 to 1.
    """

    parts = ("critic", "actor")
    such_as = "actor_and_twin_critics with stochastic: false"

    def __init__(
        self,
        model: nn.Module,
        action_size: int,
        replay_capacity: int,
        *,
        policy_delay: PositiveInt = 2,
        tau: Share = 0.005,
        exploration_noise: NonNegativeFloat = 0.1,
        target_noise: NonNegativeFloat = 0.2,
        noise_clip: NonNegativeFloat = 0.5,
    ) -> None:
        super().__init__(model, tau, policy_delay, copied=("critic", "actor"))
        self.action_size, self.exploration_noise = action_size, exploration_noise
        self.target_noise, self.noise_clip = target_noise, noise_clip

    def choose(self, batch: Batch) -> Tensor:
        """Choose the actor's actions."""
        return self.model.actor(self.see(batch["input"])).float().tanh()

    def explore(self, batch: Batch) -> Batch:
        """Choose the actor's actions with noise."""
        action = self.choose(batch)
        return {"action": torch.add(action, torch.randn_like(action), alpha=self.exploration_noise).clamp(-1, 1)}

    def steps(self, batch: Batch, number: int) -> Iterator[Loss]:
        """Yield the loss of the critics and, where it is its turn, of the actor."""
        seen = self.see(batch["input"])
        wanted = self.wanted(batch)
        yield critics_loss(self.model.critic(seen, batch["action"]).float(), wanted, batch)
        if self.moves(number):
            value = self.model.critic(seen, self.model.actor(seen).float().tanh()).float()[0].mean()
            yield Loss(-value, len(seen), "actor", {"value": value.detach()})

    @torch.no_grad()
    def wanted(self, batch: Batch) -> Tensor:
        """Give what the values should be (B,), by the lesser of the target critics at the target actor's action with noise."""
        later = self.see(batch["next_input"])
        action = self.target["actor"](later).float().tanh()
        noise = (self.target_noise * torch.randn_like(action)).clamp(-self.noise_clip, self.noise_clip)
        worth = self.target["critic"](later, (action + noise).clamp(-1, 1)).float().amin(0)
        return batch["reward"] + batch["discount"] * worth

    def verify(self, batch: Batch) -> None:
        """Refuse an actor and critics that are not for these actions."""
        self.refuse_misfit(batch, self.action_size, self.action_size, "the action")
