"""Policies that are written down instead of learned, of environments that are well understood."""

from __future__ import annotations

import re
from collections.abc import Callable

import numpy as np
import torch

from dlx.core import Act, Batch

Script = Callable[[np.ndarray], np.ndarray]  # observations float32 (N, F) to actions (N,) or (N, A), as policies give them


def balance(seen: np.ndarray) -> np.ndarray:
    """Push the cart to where the pole falls, and a little to where the cart came from."""
    place, speed, angle, turning = seen.T
    return (angle + 0.5 * turning + 0.02 * place + 0.1 * speed > 0).astype(np.int64)


def swing_up(seen: np.ndarray) -> np.ndarray:
    """Give the pendulum the energy that it has upright, and hold it there (Astrom and Furuta 2000)."""
    cosine, sine, speed = seen.T
    lacking = 5 - (speed**2 / 6 + 5 * cosine)  # of a rod of mass 1 and length 1, where gravity is 10
    swung = 3 * lacking * np.where(speed < 0, -1, 1)
    held = -(15 * np.arctan2(sine, cosine) + 4 * speed)
    return _within(np.where(cosine > 0.85, held, swung)[:, None] / 2)  # torques go from -2 to 2


def rock(seen: np.ndarray) -> np.ndarray:
    """Push the car to where it goes: 0 is left, 2 is right."""
    return np.where(seen[:, 1] < 0, 0, 2).astype(np.int64)


def rock_smoothly(seen: np.ndarray) -> np.ndarray:
    """Push the car to where it goes."""
    return np.where(seen[:, 1:2] < 0, -1, 1).astype(np.float32)


def reach(seen: np.ndarray) -> np.ndarray:
    """Move the gripper to the goal: its place are the first numbers, the goal the last."""
    reached = _within(10 * (seen[:, -3:] - seen[:, :3]))
    return np.concatenate([reached, np.zeros_like(reached[:, :1])], 1)  # the fingers stay


def idle(seen: np.ndarray) -> np.ndarray:
    """Keep the lane and the speed."""
    return np.ones(len(seen), np.int64)


SCRIPTS: dict[str, Script] = {
    "CartPole": balance,
    "Pendulum": swing_up,
    "MountainCar": rock,
    "MountainCarContinuous": rock_smoothly,
    "FetchReach": reach,
    "FetchReachDense": reach,
    "highway": idle,
    "highway-fast": idle,
}


def scripted(environment: str, size: int, action_size: int) -> Act | None:
    """Return the policy of an environment, by its name, how many numbers it shows at once and, unless discrete, takes.

    None where none is known, or where settings of the environment ask for other actions than it gives.
    """
    script = SCRIPTS.get(re.sub(r"-v\d+$", "", environment))
    if script is None or script(np.zeros((1, size), np.float32)).shape[1:] != ((action_size,) if action_size else ()):
        return None

    def act(batch: Batch, explore: bool) -> Batch:
        seen = batch["input"]
        return {"action": torch.from_numpy(script(seen[:, -size:].cpu().numpy())).to(seen.device)}

    return act


def _within(actions: np.ndarray) -> np.ndarray:
    return np.minimum(np.maximum(actions, -1), 1).astype(np.float32)
