"""A policy of continuous actions and two critics of what it does, for tasks that learn from a replay memory."""

from __future__ import annotations

import math
from collections.abc import Mapping

import torch
from pydantic import PositiveFloat
from torch import Tensor, nn

from dlx.layers.stack import LayerList
from dlx.models.control.bodies import Body
from dlx.models.control.shared import RELU, Acting, Builder
from dlx.registry import models


class Critic(nn.Module):
    """Layers over an observation, if any, and layers over what they give with the action beside it: (B, ...), (B, A) -> (B,)."""

    def __init__(self, body: nn.Sequential, joined: nn.Module) -> None:
        super().__init__()
        self.body = body if len(body) else None
        self.joined = joined

    def forward(self, seen: Tensor, action: Tensor) -> Tensor:
        features = seen if self.body is None else self.body(seen)
        return self.joined(torch.cat((features, action.to(features.dtype)), -1)).squeeze(-1)


class TwinCritics(nn.Module):
    """Two critics that differ in their first weights: (B, ...), (B, A) -> (2, B)."""

    def __init__(self, first: Critic, second: Critic) -> None:
        super().__init__()
        self.first, self.second = first, second

    def forward(self, seen: Tensor, action: Tensor) -> Tensor:
        return torch.stack((self.first(seen, action), self.second(seen, action)))


class Temperature(nn.Module):
    """The weight of the policy's entropy, above 0."""

    def __init__(self, initial: float) -> None:
        super().__init__()
        self.logarithm = nn.Parameter(torch.tensor(math.log(initial)))

    def forward(self) -> Tensor:
        return self.logarithm.exp()


@models("actor_and_twin_critics")
class ActorAndTwinCritics(Acting):
    """An actor of continuous actions and two critics of them, each a network of its own of lists of layers.

    `actor`: observation as `see` gives it -> mean and log standard deviation of each action before tanh (B, 2 action_size),
    and `temperature`, the weight of their entropy, as the task sac wants them; not `stochastic`, the action before tanh
    (B, action_size), as td3 does. `critic`: such an observation, action (B, action_size) -> values (2, B). `forward` is the
    actor. `body` are layers over the observation before the action is joined to it, such as convolutions, or any model by its
    name; `actor` and `critic` are the hidden layers after it, and the last layers are added. Images uint8 are scaled to
    [0, 1]; `normalize` scales other observations by the mean and the deviation of those seen.
    """

    def __init__(
        self,
        input_shape: list[int],
        facts: Mapping,
        action_size: int,
        *,
        body: Body | None = None,
        actor: LayerList = RELU,
        critic: LayerList = RELU,
        stochastic: bool = True,
        initial_temperature: PositiveFloat = 1.0,
        orthogonal: bool = False,
        normalize: bool = False,
    ) -> None:
        super().__init__(input_shape, normalize)
        builder = Builder(facts, {"body": body, "actor": actor, "critic": critic}, orthogonal)
        outputs = 2 * action_size if stochastic else action_size
        self.actor: nn.Module = builder.network(["body", "actor"], input_shape, outputs, 0.01)
        self.critic = TwinCritics(*(make_critic(builder, input_shape, action_size) for _ in range(2)))
        self.temperature = Temperature(initial_temperature) if stochastic else None

    def forward(self, input: Tensor) -> Tensor:
        return self.actor(self.see(input))


def make_critic(builder: Builder, input_shape: list[int], action_size: int) -> Critic:
    """Make one critic with weights of its own."""
    seen = builder.features(["body"], input_shape)
    return Critic(seen.layers, builder.network(["critic"], (seen.shape[0] + action_size,), 1, 1.0, "features and action"))
