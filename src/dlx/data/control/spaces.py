"""What an environment shows and takes, as arrays of one shape, and actions in units that all environments share."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlx.data.control.catalogue import library
from dlx.data.control.options import EnvironmentOptions
from dlx.data.control.pixels import Pixels, is_image
from dlx.errors import ComponentError
from dlx.processors.control.actions import Continuous, Discrete

GOAL_WORDS = {"observation", "achieved_goal", "desired_goal"}


class Observations:
    """How an observation is seen: numbers float32 (F,), images uint8 (C, H, W).

    A goal environment's is its observation followed by the desired goal; what is discrete is one-hot; other mappings and
    lists are joined in their order. Raises ComponentError where there is an image among other things.
    """

    def __init__(self, space: Any, options: EnvironmentOptions) -> None:
        spaces = library().spaces
        self.space, self.flatten = space, spaces.flatten
        self.is_goal = isinstance(space, spaces.Dict) and set(space.spaces) == GOAL_WORDS
        self.is_box = isinstance(space, spaces.Box)
        self.pixels: Pixels | None = None
        if self.is_box and is_image(space.shape, space.dtype):
            self.pixels = Pixels(space.shape, options.grey, options.resize)
        elif options.grey or options.resize:
            what = "grey" if options.grey else "resize"
            raise ComponentError(f"is for images, and '{options.environment}' shows numbers", (what,))
        self.shape, self.goal_size = self._measured(spaces), 0
        if self.is_goal:
            self.goal_size = int(np.prod(space["desired_goal"].shape))

    def _measured(self, spaces: Any) -> tuple[int, ...]:
        if self.pixels:
            return self.pixels.shape
        try:
            size = spaces.flatdim(self.space)
        except (NotImplementedError, ValueError):
            raise ComponentError(f"shows {self.space}, which has no fixed size", ("environment",)) from None
        if self.is_goal:
            size -= int(np.prod(self.space["achieved_goal"].shape))
        return (int(size),)

    @property
    def kind(self) -> Any:
        """Return the type of the numbers seen."""
        return np.uint8 if self.pixels else np.float32

    def __call__(self, given: Any) -> np.ndarray:
        """Return an observation as it is seen; it may be the environment's own, which changes with the next step."""
        if self.pixels:
            return self.pixels(given)
        if self.is_box:
            seen = np.asarray(given, np.float32)
            return seen if seen.ndim == 1 else seen.reshape(-1)
        if self.is_goal:
            parts = (given["observation"], given["desired_goal"])
            return np.concatenate([np.asarray(part, np.float32).reshape(-1) for part in parts])
        return np.asarray(self.flatten(self.space, given), np.float32)

    def achieved(self, given: Any) -> np.ndarray:
        """Return the goal that was achieved, as the environment has it."""
        return np.array(given["achieved_goal"]).reshape(-1)

    def facts(self, stack: int) -> dict[str, Any]:
        """Return what models ask for, where so many observations are put behind each other."""
        shape = [self.shape[0] * stack, *self.shape[1:]]
        return {"input_shape": shape, **({"in_channels": shape[0]} if self.pixels else {})}


class Actions:
    """What an environment takes: one of some actions, by number from 0, or numbers from -1 to 1 for its own bounds.

    Raises ComponentError where it takes neither.
    """

    def __init__(self, space: Any, name: str) -> None:
        spaces = library().spaces
        self.is_discrete = isinstance(space, spaces.Discrete)
        if self.is_discrete:
            self.count, self.start = int(space.n), int(space.start)
            self.units: Continuous | Discrete = Discrete(self.count, self.start)
        elif isinstance(space, spaces.Box) and np.isfinite(space.low).all() and np.isfinite(space.high).all():
            self.units = self.bounds = Continuous(space.low, space.high)
            self.shape, self.kind, self.size = space.shape, space.dtype, int(np.prod(space.shape))
        else:
            raise ComponentError(
                f"'{name}' takes {space}: neither one of some actions nor numbers within bounds", ("environment",)
            )

    def facts(self) -> dict[str, Any]:
        """Return what models and tasks ask for."""
        return {"num_actions": self.count} if self.is_discrete else {"action_size": self.size}

    def taken(self, actions: np.ndarray) -> Iterable[Any]:
        """Return actions (N, ...) as the environment takes them: numbers beyond -1 and 1 are clipped, and scaled to the bounds."""
        if self.is_discrete:
            return (actions + self.start).tolist()
        return self.bounds.scaled(actions).reshape(-1, *self.shape).astype(self.kind)

    def within(self, actions: np.ndarray) -> np.ndarray:
        """Return actions (N, ...) in the same units without what the environment's side would clip."""
        return actions if self.is_discrete else np.minimum(np.maximum(actions, -1), 1).astype(np.float32)

    def random(self, count: int, generator: torch.Generator) -> dict[str, Tensor]:
        """Draw actions evenly, with the words that a policy of that kind would say of them."""
        if self.is_discrete:
            action, log_probability = torch.randint(self.count, (count,), generator=generator), -np.log(self.count)
        else:
            action = torch.rand((count, self.size), generator=generator) * 2 - 1
            log_probability = -self.size * np.log(2)
        return {
            "action": action,
            "log_probability": torch.full((count,), float(log_probability)),
            "value": torch.zeros(count),
        }
