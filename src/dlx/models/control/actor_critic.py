"""A policy and the value of what it sees, for tasks that learn from its own rollouts."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.stack import LayerList
from dlx.models.control.bodies import Body
from dlx.models.control.shared import TANH, Acting, Builder
from dlx.registry import models


@models("actor_critic")
class ActorCritic(Acting):
    """A policy and a value over observations, each a list of layers, on one body or on two.

    input (B, *input_shape) -> policy, value (B,). Of discrete actions the policy is logits (B, num_actions); of continuous ones
    it is mean and log standard deviation of each (B, 2 action_size), the deviation the same for all observations and at first
    `deviation`. `body` is a list of layers, or any model by its name, that is built once where it is `shared`, else once for
    each; `actor` and `critic` are further hidden layers, and the last layers are added. Images uint8 are scaled to [0, 1];
    `normalize` scales other observations by the mean and the deviation of those seen. `orthogonal` weights of layers have the
    gains of Andrychowicz et al. 2021: sqrt(2), 0.01 of the policy's last layer, 1 of the value's.
    """

    def __init__(
        self,
        input_shape: list[int],
        facts: Mapping,
        num_actions: int | None = None,
        action_size: int | None = None,
        *,
        body: Body | None = TANH,
        shared: bool = False,
        actor: LayerList | None = None,
        critic: LayerList | None = None,
        orthogonal: bool = True,
        deviation: PositiveFloat = 1.0,
        normalize: bool = False,
    ) -> None:
        super().__init__(input_shape, normalize)
        outputs = num_actions or action_size
        if not outputs:
            raise ComponentError("model 'actor_critic' needs the fact 'num_actions' or 'action_size'")
        builder = Builder(facts, {"body": body, "actor": actor, "critic": critic}, orthogonal)
        seen = builder.features(["body"], input_shape) if shared else None
        before, shape = ([], seen.shape) if seen else (["body"], tuple(input_shape))
        self.body = seen.layers if seen else None
        self.actor: nn.Module = builder.network([*before, "actor"], shape, outputs, 0.01, "the body" if seen else "the data")
        self.critic: nn.Module = builder.network([*before, "critic"], shape, 1, 1.0, "the body" if seen else "the data")
        self.log_deviation = None if num_actions else nn.Parameter(torch.full((outputs,), math.log(deviation)))

    def forward(self, input: Tensor) -> tuple[Tensor, Tensor]:
        seen = self.see(input)
        if self.body is not None:
            seen = self.body(seen)
        policy, value = self.actor(seen), self.critic(seen).squeeze(-1)
        if self.log_deviation is not None:
            policy = torch.cat((policy, self.log_deviation.expand_as(policy)), -1)
        return policy, value
