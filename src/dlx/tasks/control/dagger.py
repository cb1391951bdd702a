"""Acting as an expert would, wherever one's own actions lead."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Annotated, Any, Literal

import torch
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from dlx.core import Batch, Loss
from dlx.errors import ComponentError
from dlx.registry import tasks
from dlx.registry.types import ExistingPathOr
from dlx.tasks.control.behaviour_cloning import BehaviourCloning

Policies = Callable[[str], Any]  # the fact `policies`
Expert = Annotated[str, ExistingPathOr("scripted")]
Chance = Annotated[float, Field(ge=0, le=1)]


@tasks("dagger")
class DAgger(BehaviourCloning):
    """Act as an expert: it labels what is seen where the learner's own actions lead (DAgger, Ross et al. 2011).

    `expert` is a run or a checkpoint whose policy fits the environment, or scripted, the one that comes with the environment.
    It is asked for every observation learned from. To explore, each action is the expert's with a chance that falls in a line
    from `beta_start` to `beta_end` over the first `beta_updates` updates, and else the learner's best. Data replay remembers
    what was seen, as the paper has it; data rollouts learns from the last rollout alone. Model and `loss` are those of
    behaviour_cloning.
    """

    updates: Tensor

    def __init__(
        self,
        model: nn.Module,
        policies: Policies | None = None,
        num_actions: int | None = None,
        action_size: int | None = None,
        rollout_steps: int | None = None,
        replay_capacity: int | None = None,
        *,
        expert: Expert,
        beta_start: Chance = 1.0,
        beta_end: Chance = 0.0,
        beta_updates: PositiveInt = 1000,
        loss: Literal["automatic", "likelihood", "squared_error"] = "automatic",
    ) -> None:
        super().__init__(model, num_actions, action_size, loss=loss)
        if not (rollout_steps or replay_capacity):
            raise ComponentError("task 'dagger' learns from what its own actions lead to: data replay or rollouts")
        self.betas, self.beta_updates, self.discrete = (beta_start, beta_end), beta_updates, bool(num_actions)
        self.expert = load(policies, expert) if policies else None  # which only training asks
        self.register_buffer("updates", torch.tensor(0))

    def beta(self) -> float:
        """Tell how likely an action is the expert's, after the updates until now."""
        return self.betas[0] + min(int(self.updates) / self.beta_updates, 1) * (self.betas[1] - self.betas[0])

    def label(self, batch: Batch) -> Tensor:
        """Ask the expert what to do: int64 (B,), or float32 (B, A) within -1 and 1."""
        assert self.expert, "it was built to answer only"
        action: Tensor = self.expert({"input": batch["input"]}, False)["action"]
        return action if self.discrete else action.float().clamp(-1, 1)

    def explore(self, batch: Batch) -> Batch:
        """Choose the learner's best actions, and now and then the expert's."""
        own, beta = self.choose(batch), self.beta()
        asked = torch.rand(len(own), device=own.device) < beta
        if not asked.any():
            return {"action": own}
        return {"action": torch.where(asked if self.discrete else asked[:, None], self.label(batch), own)}

    def losses(self, batch: Batch) -> Iterator[Loss]:
        """Yield the one loss of a batch, and count the update."""
        number = int(self.updates)
        yield self.forward(batch)
        if int(self.updates) == number:  # the first of the micro-batches of one step to come here counts for all
            self.updates.fill_(number + 1)
            self.trained.fill_(True)

    def forward(self, batch: Batch) -> Loss:
        """Compute the mean loss of observations, by the expert's actions there."""
        policy, wanted = self.run(batch), self.label(batch)
        found = self.compare(policy, wanted)
        return Loss(found.value, found.weight, scalars={"beta": self.beta()})

    def score(self, prediction: Batch, batch: Batch) -> Loss | None:
        """Tell nothing: the expert is not asked in evaluations."""
        return None

    def verify(self, batch: Batch) -> None:
        """Refuse a model that does not give a policy for these actions, and an expert that cannot answer."""
        super().verify(batch)
        if self.expert:
            self.label(batch)


def load(policies: Policies, expert: str) -> Any:
    """Load the policy that the choice `expert` names."""
    try:
        return policies(expert)
    except ComponentError as error:
        raise ComponentError(error.message, ("expert",)) from None
