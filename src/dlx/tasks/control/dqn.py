"""Learning the values of discrete actions from a replay memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from dlx.core import Batch, Loss
from dlx.errors import ComponentError
from dlx.registry import tasks
from dlx.tasks.control.base import weighed
from dlx.tasks.control.replayed import Replayed, Share

Chance = Annotated[float, Field(ge=0, le=1)]


@tasks("dqn")
class DQN(Replayed):
    """Learn the value of every action by Q-learning with a target network (Mnih et al. 2015).

    The model gives values (B, num_actions), as q_network does. `double` lets it choose the action that the target network
    values (van Hasselt et al. 2016). Every `target_every` updates the target moves the share `tau` of the way to the model. An
    action is drawn at random with a chance that falls in a line from `exploration_start` to `exploration_end` over the first
    `exploration_updates`. The rewards of several steps, their discount and priorities are the data's.
    """

    def __init__(
        self,
        model: nn.Module,
        num_actions: int,
        replay_capacity: int,
        *,
        double: bool = True,
        loss: Literal["huber", "squared_error"] = "huber",
        target_every: PositiveInt = 500,
        tau: Share = 1.0,
        exploration_start: Chance = 1.0,
        exploration_end: Chance = 0.05,
        exploration_updates: PositiveInt = 5000,
    ) -> None:
        super().__init__(model, tau, target_every)
        self.num_actions, self.chooses, self.loss = num_actions, double, loss
        self.chances, self.exploration_updates = (exploration_start, exploration_end), exploration_updates

    def chance(self) -> float:
        """Tell how likely an action is drawn at random, after the updates until now."""
        return self.chances[0] + min(int(self.updates) / self.exploration_updates, 1) * (self.chances[1] - self.chances[0])

    def choose(self, batch: Batch) -> Tensor:
        """Choose the actions of the largest values."""
        return self.run(batch).argmax(-1)

    def answer(self, batch: Batch) -> Batch:
        """Choose the actions of the largest values, and tell the values of all."""
        values = self.run(batch)
        return {"action": values.argmax(-1), "action_value": values}

    def explore(self, batch: Batch) -> Batch:
        """Choose the best actions, and now and then any."""
        best = self.choose(batch)
        chosen = torch.rand(len(best), device=best.device) < self.chance()
        return {"action": torch.where(chosen, torch.randint_like(best, self.num_actions), best)}

    def steps(self, batch: Batch, number: int) -> Iterator[Loss]:
        """Yield the loss of a batch of the memory; its feedback are the sizes (B,) of the errors."""
        value = self.run(batch).float().gather(-1, batch["action"][:, None]).squeeze(-1)
        error = value - self.wanted(batch)
        size = error.detach().abs()
        scalars = {"td_error": size.mean(), "value": value.detach().mean(), "exploration": self.chance()}
        yield Loss(weighed(self.penalty(error), batch), len(value), scalars=scalars, feedback=size)

    def penalty(self, error: Tensor) -> Tensor:
        """Give the loss (B,) of errors, both halved squares where they are small."""
        zero = torch.zeros_like(error)
        return F.huber_loss(error, zero, reduction="none") if self.loss == "huber" else error.square() / 2

    @torch.no_grad()
    def wanted(self, batch: Batch) -> Tensor:
        """Give what the values should be (B,): the rewards, and the discounted value of where they led."""
        seen = {**batch, "input": batch["next_input"]}
        values = self.target_values(seen)
        chosen = self.run(seen) if self.chooses else values
        best = values.gather(-1, chosen.argmax(-1, keepdim=True)).squeeze(-1)
        return batch["reward"] + batch["discount"] * best

    def target_values(self, batch: Batch) -> Tensor:
        """Run the target network on a batch."""
        return self.target(**{word: batch[word] for word in self.words if word in batch}).float()

    def verify(self, batch: Batch) -> None:
        """Refuse a model whose output is not one value an action."""
        output = self.run(batch)
        if not isinstance(output, Tensor):
            raise ComponentError("wants a model that gives the values of actions alone, such as q_network")
        self.refuse_shape(output, self.num_actions, "one value an action")
