"""Rollouts as epochs: the policy acts for some steps, learns from them some times over, and forgets them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator, Mapping
from typing import Annotated, Any

import numpy as np
import torch
from pydantic import Field, PositiveInt

from dlx.core import Act, Batch
from dlx.data.control.evaluation import as_array
from dlx.data.control.options import Discount, EnvironmentOptions
from dlx.data.control.rollout import RewardScale, Rollout
from dlx.data.control.source import EnvironmentSource
from dlx.data.order import permutation
from dlx.errors import ComponentError, UsageError
from dlx.registry import sources


@sources("rollouts")
class Rollouts(EnvironmentSource):
    """Steps in an environment under the present policy, learned from some times over and then forgotten, as PPO does.

    An epoch is one rollout: `steps` steps of each of the `copies`, in `passes` over minibatches of `batch_size`. So training
    for E epochs takes E * copies * steps frames. Rewards may be divided by the standard deviation of the discounted returns.
    A run that is resumed goes on exactly, in the midst of a rollout too.
    """

    def __init__(
        self,
        seed: int,
        *,
        options: EnvironmentOptions,
        copies: PositiveInt = 8,
        steps: PositiveInt = 128,
        passes: PositiveInt = 4,
        batch_size: PositiveInt = 256,
        discount: Discount = 0.99,
        gae_lambda: Annotated[float, Field(ge=0, le=1)] = 0.95,
        normalize_rewards: bool = False,
    ) -> None:
        super().__init__(seed, options, copies)
        self.size, self.batch_size, self.passes = copies * steps, batch_size, passes
        if batch_size > self.size:
            raise ComponentError(f"is more than the {self.size} frames of a rollout (copies * steps)", ("batch_size",))
        self.discount, self.gae_lambda = discount, gae_lambda
        self.facts = {**self.facts, "rollout_steps": steps, "discount": discount}
        self.batches_per_pass = -(-self.size // batch_size)
        self.batches_per_epoch = passes * self.batches_per_pass
        self.frames_per_batch = self.size / self.batches_per_epoch
        self.rollout = Rollout(steps, copies)
        self.scale = RewardScale(copies, discount) if normalize_rewards else None
        self.epoch = self.batches = 0

    def prepare(self, actor: Act | None) -> Iterator[None]:
        """Act until the rollout is full, and yield after every step."""
        while not self.rollout.is_full:
            self._live(actor)
            yield
        if not self.rollout.is_finished:
            self.rollout.finish(self._values(actor, self.copies.observation), self.discount, self.gae_lambda)

    def _live(self, actor: Act | None) -> None:
        seen = self.copies.observation
        answer = {word: as_array(value) for word, value in self.asked(actor).items()}
        step = self.act(answer["action"])
        ended = step.terminated | step.truncated
        reward = self.scale(step.reward, ended) if self.scale else step.reward
        cut = step.truncated & ~step.terminated
        if "value" in answer and cut.any():  # time ran out, but not what the policy would still have gained
            reward[cut] += self.discount * self._values(actor, step.following[cut])
        self.rollout.add({"input": seen, **answer, "reward": reward, "ended": ended})

    def _values(self, actor: Act | None, observations: np.ndarray) -> np.ndarray:
        """Return what the policy expects from observations on."""
        return (
            as_array(actor({"input": torch.from_numpy(observations)}, False)["value"]) if actor else np.zeros(len(observations))
        )

    def train(self, actor: Act | None) -> Iterator[Batch]:
        """Yield the minibatches from the present position to the end of the epoch; it moves before a batch is yielded."""
        deque(self.prepare(actor), maxlen=0)
        samples, epoch = self.rollout.samples(), self.epoch
        for number in range(self.batches // self.batches_per_pass, self.passes):
            order = permutation(self.seed, epoch * self.passes + number, self.size)
            shuffled = {word: value.index_select(0, order) for word, value in samples.items()} | {"index": order}
            for batch in range(self.batches % self.batches_per_pass, self.batches_per_pass):
                self._move()
                rows = slice(batch * self.batch_size, (batch + 1) * self.batch_size)
                yield shuffled if self.batches_per_pass == 1 else {word: value[rows] for word, value in shuffled.items()}

    def _move(self) -> None:
        self.batches += 1
        if self.batches == self.batches_per_epoch:
            self.epoch, self.batches = self.epoch + 1, 0
            self.rollout = Rollout(self.rollout.steps, self.rollout.count)

    def state_dict(self) -> dict[str, Any]:
        """Return where training is: the copies, the rollout as far as it is there, and how much has been learned from it."""
        own = {"epoch": self.epoch, "batches": self.batches, "scale": self.scale.state_dict() if self.scale else None}
        return {**super().state_dict(), **own, **self.rollout.state_dict()}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Return to a state."""
        if not 0 <= state["batches"] < self.batches_per_epoch:
            raise UsageError(f"batch {state['batches']} is no position in {self.batches_per_epoch} batches of a rollout")
        super().load_state_dict(state)
        self.epoch, self.batches = state["epoch"], state["batches"]
        self.rollout.load_state_dict(state)
        if self.scale:
            self.scale.load_state_dict(state["scale"])
