"""What a policy's numbers mean: shares of discrete actions, or a normal distribution of continuous ones.

The formulas are written out: torch.distributions would take an eighth of an update's time.
"""

from __future__ import annotations

import math
from typing import Protocol

import torch
import torch.nn.functional as F
from torch import Tensor

from dlx.core import Batch
from dlx.errors import ComponentError

HALF_LOG_TAU = math.log(2 * math.pi) / 2
LOG_DEVIATIONS = (-20.0, 2.0)  # of a squashed normal distribution, beyond which they are cut (Haarnoja et al. 2018)


class Policy(Protocol):
    """How the numbers (B, outputs) that a model gives stand for actions."""

    outputs: int

    def greedy(self, policy: Tensor) -> Tensor:
        """Return the likeliest action of each row."""

    def answer(self, policy: Tensor) -> Batch:
        """Return the likeliest `action` of each row, and of discrete ones the `action_probability` (B, outputs) of all."""

    def draw(self, policy: Tensor) -> Tensor:
        """Draw an action for each row."""

    def log_probability(self, policy: Tensor, action: Tensor) -> Tensor:
        """Return the log-probability (B,) of actions, or of continuous ones its density."""

    def measure(self, policy: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-probability (B,) of actions, and the entropy (B,) in nats."""

    @property
    def collapsed(self) -> float:
        """Tell the entropy below which a policy hardly tries anything."""


class Categorical:
    """Logits (B, num_actions) of actions int64 (B,)."""

    def __init__(self, num_actions: int) -> None:
        self.outputs = num_actions
        self.collapsed = 0.01 * math.log(num_actions)

    def greedy(self, policy: Tensor) -> Tensor:
        """Return the likeliest action (B,)."""
        return policy.argmax(-1)

    def answer(self, policy: Tensor) -> Batch:
        """Return the likeliest action (B,), and the probabilities (B, num_actions)."""
        return {"action": self.greedy(policy), "action_probability": policy.softmax(-1)}

    def draw(self, policy: Tensor) -> Tensor:
        """Draw an action (B,) of each row: the largest logit once noise of Gumbel's distribution is added."""
        return (policy - torch.empty_like(policy).exponential_().log()).argmax(-1)

    def log_probability(self, policy: Tensor, action: Tensor) -> Tensor:
        """Return the log-probability (B,) of actions (B,)."""
        return policy.log_softmax(-1).gather(-1, action[:, None]).squeeze(-1)

    def measure(self, policy: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log-probability (B,) of actions (B,), and the entropy (B,) in nats."""
        shares = policy.log_softmax(-1)
        return shares.gather(-1, action[:, None]).squeeze(-1), -(shares.exp() * shares).sum(-1)


class Normal:
    """Means and log standard deviations (B, 2 action_size) of independent actions float32 (B, action_size)."""

    def __init__(self, action_size: int) -> None:
        self.outputs = 2 * action_size
        self.collapsed = action_size * (HALF_LOG_TAU + 0.5 + math.log(0.01))  # a deviation of a hundredth of the whole way

    def greedy(self, policy: Tensor) -> Tensor:
        """Return the means (B, A)."""
        return policy.chunk(2, -1)[0]

    def answer(self, policy: Tensor) -> Batch:
        """Return the means (B, A)."""
        return {"action": self.greedy(policy)}

    def draw(self, policy: Tensor) -> Tensor:
        """Draw an action (B, A) of each row."""
        mean, log_deviation = policy.chunk(2, -1)
        return torch.addcmul(mean, log_deviation.exp(), torch.randn_like(mean))

    def log_probability(self, policy: Tensor, action: Tensor) -> Tensor:
        """Return the log of the density (B,) at actions (B, A)."""
        mean, log_deviation = policy.chunk(2, -1)
        standard = (action - mean) * (-log_deviation).exp()
        return -(standard.square() / 2 + log_deviation + HALF_LOG_TAU).sum(-1)

    def measure(self, policy: Tensor, action: Tensor) -> tuple[Tensor, Tensor]:
        """Return the log of the density (B,) at actions (B, A), and the entropy (B,) in nats."""
        return self.log_probability(policy, action), (policy.chunk(2, -1)[1] + HALF_LOG_TAU + 0.5).sum(-1)


def policy_of(task: str, num_actions: int | None, action_size: int | None) -> Categorical | Normal:
    """Return what a policy means for the actions that the data know; raises ComponentError where they know none."""
    if num_actions:
        return Categorical(num_actions)
    if action_size:
        return Normal(action_size)
    raise ComponentError(f"task '{task}' needs the fact 'num_actions' or 'action_size'")


def draw_squashed(policy: Tensor) -> tuple[Tensor, Tensor]:
    """Draw actions (B, A) within (-1, 1), the tanh of normal ones, with the log of their density (B,); gradients pass.

    policy: means and log standard deviations (B, 2 A). The logarithm of tanh's slope is exact for any action: Haarnoja et al. 2018,
    appendix C, as log(1 - tanh(u)^2) = 2 (log 2 - u - softplus(-2 u)).
    """
    mean, log_deviation = policy.chunk(2, -1)
    log_deviation = log_deviation.clamp(*LOG_DEVIATIONS)
    noise = torch.randn_like(mean)
    before = torch.addcmul(mean, log_deviation.exp(), noise)
    slope = 2 * (math.log(2) - before - F.softplus(-2 * before))
    return before.tanh(), -(noise.square() / 2 + log_deviation + HALF_LOG_TAU + slope).sum(-1)
