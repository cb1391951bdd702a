"""Learning from a memory: the policy acts, and batches are drawn from the last frames."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Mapping
from typing import Any, Literal

import numpy as np
import torch
from pydantic import NonNegativeInt, PositiveInt
from torch import Tensor

from dlx.core import Act, Batch
from dlx.data.control.evaluation import as_array
from dlx.data.control.hindsight import Hindsight
from dlx.data.control.memory import Memory
from dlx.data.control.options import Discount, EnvironmentOptions, PaceOptions
from dlx.data.control.priorities import Priorities, PriorityOptions
from dlx.data.control.source import EnvironmentSource
from dlx.data.order import generator
from dlx.errors import ComponentError
from dlx.registry import sources

SAMPLES = 2  # the stream of what is drawn


@sources("replay")
class Replay(EnvironmentSource):
    """Steps in an environment that are remembered and drawn again and again, as DQN, SAC and TD3 do.

    The first `warmup` frames are of random actions, or of the policy's own where `warmup_actions` says so. Then every batch
    stands for `frames_per_batch` more (0.5: two batches a frame), so training for S steps takes warmup + S * frames_per_batch
    frames. There are no epochs: a config says `steps`.
    A batch has the rewards of `n_step` steps; `hindsight: 4` gives four frames of five a goal that was reached later.
    With `saved: full` checkpoints hold the memory, and a run that is resumed goes on exactly. With `saved: refill` they do
    not: it begins with an empty one, which the policy of then fills with `warmup` frames, and ends elsewhere.
    """

    frames_per_batch: float

    def __init__(
        self,
        seed: int,
        *,
        options: EnvironmentOptions,
        priorities: PriorityOptions,
        pace: PaceOptions,
        copies: PositiveInt = 1,
        capacity: PositiveInt = 100_000,
        batch_size: PositiveInt = 256,
        n_step: PositiveInt = 1,
        discount: Discount = 0.99,
        hindsight: NonNegativeInt = 0,
        saved: Literal["full", "refill"] = "full",
    ) -> None:
        super().__init__(seed, options, copies)
        if capacity < copies * n_step:
            raise ComponentError(f"holds less than {n_step} steps of {copies} copies", ("capacity",))
        if hindsight and (n_step > 1 or options.frame_stack > 1):
            setting = "n_step" if n_step > 1 else "frame_stack"
            raise ComponentError(f"goes together with {setting}: 1 only", ("hindsight",))
        self.hindsight = Hindsight(self.blueprint, hindsight) if hindsight else None
        self.memory = Memory(capacity, copies, options.frame_stack if self.blueprint.observations.pixels else None)
        self.priorities = Priorities(self.memory.rows * copies, priorities) if priorities.priority_exponent else None
        self.warmup, self.frames_per_batch, self.batch_size = pace.warmup, pace.frames_per_batch, batch_size
        self.by_chance = pace.warmup_actions == "random"
        self.n_step, self.discount, self.saved = n_step, discount, saved
        self.facts = {**self.facts, "replay_capacity": capacity, "discount": discount}
        self.batches, self.before = 0, pace.warmup  # batches given, and frames that belong to none

    def prepare(self, actor: Act | None) -> Iterator[None]:
        """Fill the memory as far as the next batch needs it, and yield after every step."""
        while self.frames < self._needed():
            self._live(actor)
            yield

    def _needed(self) -> int:
        return self.before + math.ceil(self.batches * self.frames_per_batch - 1e-9)

    def _live(self, actor: Act | None) -> None:
        seen = self.copies.observation
        action = as_array(self.asked(None if self.by_chance and not self.batches else actor)["action"])
        step = self.act(action)
        words = {"input": seen, "action": action, "reward": step.reward.astype(np.float32), "next_input": step.following}
        ends = {"terminated": step.terminated, "ended": step.terminated | step.truncated}
        reached = {"achieved": step.achieved.astype(np.float32)} if self.hindsight else {}
        slots = self.memory.add({**words, **ends, **reached})
        if self.priorities:
            self.priorities.add(slots)

    def train(self, actor: Act | None) -> Iterator[Batch]:
        """Yield batches without end, acting in between; the position moves before a batch is yielded."""
        while True:
            deque(self.prepare(actor), maxlen=0)
            batch = self._drawn()
            self.batches += 1
            yield batch

    def _drawn(self) -> Batch:
        """Draw a batch, by the seed and its number."""
        draw = generator(self.seed, SAMPLES, self.batches)
        if self.priorities:
            slots = self.priorities.draw(self.batch_size, _shares(draw, self.batch_size))
        else:
            slots = torch.randint(len(self.memory), (self.batch_size,), generator=draw).numpy()
        found = self.memory.transitions(slots, self.n_step, self.discount)
        if self.hindsight:
            self.hindsight(found, self.memory, slots, _shares(draw, 2, self.batch_size))
        if self.priorities:
            found["weight"] = self.priorities.weights(slots, len(self.memory), self.batches)
        return {word: torch.from_numpy(value) for word, value in found.items()} | {"index": torch.from_numpy(slots)}

    def hear(self, index: Tensor, feedback: Tensor) -> None:
        """Draw frames by what was wrong about them, where priorities are asked for."""
        if self.priorities:
            self.priorities.hear(index.numpy(), feedback.float().numpy())

    def state_dict(self) -> dict[str, Any]:
        """Return where training is; the memory and its priorities only where they are to be saved in full."""
        whole = self.saved == "full"
        kept = self.priorities.state_dict(len(self.memory)) if self.priorities and whole else {}
        own = {"batches": self.batches, "before": self.before}
        return {**super().state_dict(), **own, **kept, **self.memory.state_dict(whole=whole)}

    def load_state_dict(self, state: Mapping[str, Any]) -> None:
        """Return to a state; a memory that was not saved is to be filled again."""
        super().load_state_dict(state)
        self.batches, self.before = state["batches"], state["before"]
        if self.saved == "refill":
            self.before += min(self.warmup, self.frames)
        else:
            self.memory.load_state_dict(state)
            if self.priorities:
                self.priorities.load_state_dict(state)

    def close(self) -> None:
        """Let go of all environments."""
        super().close()
        if self.hindsight:
            self.hindsight.close()


def _shares(draw: torch.Generator, *shape: int) -> np.ndarray:
    return torch.rand(shape, generator=draw, dtype=torch.float64).numpy()
