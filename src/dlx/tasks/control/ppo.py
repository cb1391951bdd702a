"""Learning from the present policy's own rollouts, by small changes of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import torch
from pydantic import NonNegativeFloat, PositiveFloat
from torch import Tensor, nn

from dlx.core import Batch, Loss
from dlx.errors import ComponentError
from dlx.registry import tasks
from dlx.tasks.control.base import Control
from dlx.tasks.control.policies import policy_of

FAR = 0.1  # nats by which a policy should not move from the one that played a rollout


@tasks("ppo")
class PPO(Control):
    """Improve a policy by proximal policy optimization: rollouts of its own, and clipped changes (Schulman et al. 2017).

    The model gives a policy and a value, as actor_critic does. The loss of a minibatch is that of the policy, whose ratios to
    the probabilities of acting count within 1 - `clip` and 1 + `clip`, plus `value_weight` times the squared error of the
    values, less `entropy_weight` times the entropy. With `value_clip` a value that moves further than that from its old one
    gains nothing. Advantages are standardised within each minibatch. Gradients are clipped by trainer.clip_norm, usually 0.5.
    """

    def __init__(
        self,
        model: nn.Module,
        rollout_steps: int,
        num_actions: int | None = None,
        action_size: int | None = None,
        *,
        clip: PositiveFloat = 0.2,
        value_weight: NonNegativeFloat = 0.5,
        value_clip: PositiveFloat | None = None,
        entropy_weight: NonNegativeFloat = 0.0,
        normalize_advantage: bool = True,
    ) -> None:
        super().__init__(model)
        self.policy = policy_of("ppo", num_actions, action_size)
        self.clip, self.value_weight, self.value_clip = clip, value_weight, value_clip
        self.entropy_weight, self.normalize_advantage = entropy_weight, normalize_advantage

    def run(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Give the policy's numbers (B, outputs) and the values (B,)."""
        policy, value = super().run(batch)
        return policy.float(), value.float()

    def act(self, batch: Batch, explore: bool) -> Batch:
        """Choose or draw actions; the values (B,) of the observations always stand beside them."""
        if explore:
            return super().act(batch, explore)
        policy, value = self.run(batch)
        return {"action": self.policy.greedy(policy), "value": value}

    def explore(self, batch: Batch) -> Batch:
        """Draw actions, with their log-probabilities and the values (B,) of the observations."""
        policy, value = self.run(batch)
        action = self.policy.draw(policy)
        return {"action": action, "log_probability": self.policy.log_probability(policy, action), "value": value}

    def choose(self, batch: Batch) -> Tensor:
        """Choose the likeliest actions."""
        return self.policy.greedy(self.run(batch)[0])

    def answer(self, batch: Batch) -> Batch:
        """Choose the likeliest actions, and tell the probabilities of discrete ones."""
        return self.policy.answer(self.run(batch)[0])

    def losses(self, batch: Batch) -> Iterator[Loss]:
        """Yield the one loss of a minibatch."""
        yield self.forward(batch)
        self.trained.fill_(True)

    def forward(self, batch: Batch) -> Loss:
        """Compute the loss of a minibatch of a rollout."""
        policy, value = self.run(batch)
        log_probability, entropies = self.policy.measure(policy, batch["action"])
        change, entropy = log_probability - batch["log_probability"], entropies.mean()
        ratio = change.exp()
        surrogate = clipped_surrogate(ratio, self.advantage(batch), self.clip).mean()
        error = self.value_error(value, batch).mean()
        loss = self.value_weight * error - surrogate
        if self.entropy_weight:
            loss = loss - self.entropy_weight * entropy
        with torch.no_grad():
            moved = ratio - 1
            far, away = (moved - change).mean(), (moved.abs() > self.clip).mean(dtype=torch.float32)
        scalars = {"policy_loss": -surrogate.detach(), "value_loss": error.detach(), "entropy": entropy.detach()}
        return Loss(loss, len(value), scalars={**scalars, "approximate_kl": far, "clip_fraction": away})

    def advantage(self, batch: Batch) -> Tensor:
        """Standardise the advantages of a minibatch; that of a single sample has no deviation and stays."""
        given = batch["advantage"]
        return (given - given.mean()) / (given.std() + 1e-8) if self.normalize_advantage and len(given) > 1 else given

    def value_error(self, value: Tensor, batch: Batch) -> Tensor:
        """Give the squared errors (B,) of values, the larger one of each where they are clipped."""
        error = (value - batch["return"]).square()
        if self.value_clip is None:
            return error
        near = batch["value"] + (value - batch["value"]).clamp(-self.value_clip, self.value_clip)
        return torch.maximum(error, (near - batch["return"]).square())

    def remarks(self, scalars: Mapping[str, float]) -> Iterator[str]:
        """Warn of a policy that moves too far at once, and of one that tries nothing more."""
        if (far := scalars.get("train/approximate_kl", 0.0)) > FAR:
            yield (
                f"the policy moves far from the one that played, by {far:.2f} nats: lower optimizer.lr or the passes over a "
                "rollout, or set trainer.clip_norm: 0.5"
            )
        if (entropy := scalars.get("train/entropy", torch.inf)) < self.policy.collapsed:
            yield (
                f"the policy hardly tries anything new: its entropy is {entropy:.3g} nats; if its return is poor, raise "
                "task.entropy_weight"
            )

    def verify(self, batch: Batch) -> None:
        """Refuse a model that does not give a policy for these actions and one value an observation."""
        output = super().run(batch)
        if not isinstance(output, tuple) or len(output) != 2:
            raise ComponentError("wants a model that gives a policy and a value, such as actor_critic")
        self.refuse_shape(output[0], self.policy.outputs, "the policy of these actions")
        if output[1].shape != output[0].shape[:1]:
            raise ComponentError(f"gives values of shape {tuple(output[1].shape[1:])} a sample instead of one number")


def clipped_surrogate(ratio: Tensor, advantage: Tensor, clip: float) -> Tensor:
    """Return what a policy gains (B,), as if no ratio of probabilities could leave [1 - clip, 1 + clip] to its own good."""
    return torch.minimum(ratio * advantage, ratio.clamp(1 - clip, 1 + clip) * advantage)
