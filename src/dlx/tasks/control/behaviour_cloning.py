"""Acting as somebody did, by examples alone."""

from __future__ import annotations

from typing import Literal

from torch import Tensor, nn

from dlx.core import Batch, Loss
from dlx.errors import ComponentError
from dlx.registry import tasks
from dlx.tasks.control.base import Control
from dlx.tasks.control.policies import policy_of


class Exact:
    """Actions (B, action_size) that are the numbers of the policy themselves."""

    def __init__(self, action_size: int) -> None:
        self.outputs = action_size

    def greedy(self, policy: Tensor) -> Tensor:
        """Return the action."""
        return policy

    def answer(self, policy: Tensor) -> Batch:
        """Return the action."""
        return {"action": policy}

    def draw(self, policy: Tensor) -> Tensor:
        """Return the action, of which there is no other."""
        return policy

    def log_probability(self, policy: Tensor, action: Tensor) -> Tensor:
        """Return the squared error (B,) of actions, negative: of all densities, the one whose deviation does not matter."""
        return -(policy - action).square().mean(-1)


@tasks("behaviour_cloning")
class BehaviourCloning(Control):
    """Act as in demonstrations: pairs of an observation and the action that was taken (Pomerleau 1989).

    Of discrete actions the model gives logits (B, num_actions), and the loss is their cross-entropy. Of continuous ones it gives
    the action (B, action_size), and the loss is the squared_error; with the loss likelihood it gives mean and log standard
    deviation of each (B, 2 action_size), as actor_critic does. Of a model that gives more than a policy, the policy is trained.
    """

    def __init__(
        self,
        model: nn.Module,
        num_actions: int | None = None,
        action_size: int | None = None,
        *,
        loss: Literal["automatic", "likelihood", "squared_error"] = "automatic",
    ) -> None:
        super().__init__(model)
        if num_actions and loss == "squared_error":
            raise ComponentError("is for continuous actions, and these are discrete; leave it out", ("loss",))
        chosen = policy_of("behaviour_cloning", num_actions, action_size)
        self.policy = Exact(action_size) if action_size and not num_actions and loss != "likelihood" else chosen

    def run(self, batch: Batch) -> Tensor:
        """Give the policy's numbers (B, outputs)."""
        output = super().run(batch)
        policy: Tensor = output[0] if isinstance(output, tuple) else output
        return policy.float()

    def choose(self, batch: Batch) -> Tensor:
        """Choose the likeliest actions."""
        return self.policy.greedy(self.run(batch))

    def answer(self, batch: Batch) -> Batch:
        """Choose the likeliest actions, and tell the probabilities of discrete ones."""
        return self.policy.answer(self.run(batch))

    def explore(self, batch: Batch) -> Batch:
        """Draw actions."""
        return {"action": self.policy.draw(self.run(batch))}

    def forward(self, batch: Batch) -> Loss:
        """Compute the mean loss of a batch of demonstrations."""
        return self.compare(self.run(batch), batch["action"])

    def compare(self, policy: Tensor, action: Tensor) -> Loss:
        """Average how unlikely, or how far, the actions taken are."""
        loss = -self.policy.log_probability(policy, action).mean()
        return Loss(loss, len(action))

    def score(self, prediction: Batch, batch: Batch) -> Loss | None:
        """Compute the loss on demonstrations; episodes of its own have none."""
        return self.compare(self.run(batch), batch["action"]) if "action" in batch else None

    def verify(self, batch: Batch) -> None:
        """Refuse a model that does not give a policy for these actions."""
        self.refuse_shape(self.run(batch), self.policy.outputs, "the policy of these actions")
