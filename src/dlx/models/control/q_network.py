"""The values of discrete actions."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.stack import LayerList
from dlx.models.control.bodies import Body
from dlx.models.control.shared import RELU, Acting, Builder
from dlx.registry import models


@models("q_network")
class QNetwork(Acting):
    """The value of every action, by a list of layers, or any model by its name, over the observation.

    input (B, *input_shape) -> values (B, num_actions); the last layer is added. `duelling` adds the value of the observation and
    the advantage of each action over their mean (Wang et al. 2016), each with the further hidden layers `stream` of its own.
    Images uint8 are scaled to [0, 1]; `normalize` scales other observations by the mean and the deviation of those seen.
    """

    def __init__(
        self,
        input_shape: list[int],
        facts: Mapping,
        num_actions: int,
        *,
        body: Body | None = RELU,
        duelling: bool = False,
        stream: LayerList | None = None,
        orthogonal: bool = False,
        normalize: bool = False,
    ) -> None:
        super().__init__(input_shape, normalize)
        if stream is not None and not duelling:
            raise ComponentError(
                "are layers of the two streams that only a duelling network has; set duelling: true", ("stream",)
            )
        builder = Builder(facts, {"body": body, "stream": stream}, orthogonal)
        seen = builder.features(["body"], input_shape)
        self.body = seen.layers
        self.advantage: nn.Module = builder.network(["stream"], seen.shape, num_actions, 1.0, "the body")
        self.value = builder.network(["stream"], seen.shape, 1, 1.0, "the body") if duelling else None

    def forward(self, input: Tensor) -> Tensor:
        seen = self.body(self.see(input))
        advantage = self.advantage(seen)
        return advantage if self.value is None else self.value(seen) + advantage - advantage.mean(-1, keepdim=True)
