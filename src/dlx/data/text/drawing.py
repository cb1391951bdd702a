"""Drawing texts by rule: choices that follow from keys alone."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from typing import TypeVar

import torch

from dlx.data.order import generator

AT_ONCE = 4096
T = TypeVar("T")
H = TypeVar("H", bound=Hashable)


class Draws:
    """Choices among a few things, all as likely; `surprise` is the sum of their negative log-probabilities, in nats."""

    def __init__(self, *keys: int) -> None:
        self.generator = generator(*keys)
        self.waiting: list[int] = []
        self.surprise = 0.0

    def of(self, options: Sequence[T]) -> T:
        """Return one of several things."""
        if not self.waiting:
            self.waiting = torch.randint(2**62, (AT_ONCE,), generator=self.generator).tolist()
        self.surprise += math.log(len(options))
        return options[self.waiting.pop() % len(options)]

    def two_of(self, options: Sequence[T]) -> tuple[T, T]:
        """Return two different things, in either order."""
        one = self.of(options)
        return one, self.of([other for other in options if other != one])


def distinct(make: Callable[[Draws], H], draws: Draws, count: int) -> list[H]:
    """Make so many things, no two of them equal."""
    found: dict[H, None] = {}
    while len(found) < count:
        found.setdefault(make(draws))
    return list(found)
