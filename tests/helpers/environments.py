"""Small environments whose every number is known, registered with gymnasium for the time of a test."""

from contextlib import contextmanager

import gymnasium
import numpy as np
from gymnasium import spaces

from dlx import registry
from dlx.registry.signatures import check


class Line(gymnasium.Env):
    """A walk on a line from near 0: right is +1, left is -1, the reward is where it leads; beyond 3 the episode is terminated."""

    def __init__(self, wide=False):
        self.wide = wide
        self.observation_space = spaces.Box(-np.inf, np.inf, (2,), np.float64)
        self.action_space = spaces.Box(-2, 6, (1,), np.float32) if wide else spaces.Discrete(2, start=5)
        self.place, self.steps = 0.0, 0

    def seen(self):
        return np.array([self.place, self.steps])

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.steps = self.np_random.uniform(-0.5, 0.5), 0
        return self.seen(), {}

    def step(self, action):
        self.place += float(action[0]) / 4 if self.wide else (1 if action == 6 else -1)
        self.place += self.np_random.uniform(-0.1, 0.1)
        self.steps += 1
        return self.seen(), self.place, abs(self.place) > 3, False, {}


class Reach(gymnasium.Env):
    """A goal on a line, to be reached by steps of up to 1; 0 within 0.3 of it, else -1."""

    def __init__(self):
        one = spaces.Box(-10, 10, (1,), np.float64)
        self.observation_space = spaces.Dict({"observation": one, "achieved_goal": one, "desired_goal": one})
        self.action_space = spaces.Box(-1, 1, (1,), np.float32)
        self.place, self.goal = np.zeros(1), np.zeros(1)

    def seen(self):
        return {"observation": self.place * 2, "achieved_goal": self.place.copy(), "desired_goal": self.goal.copy()}

    def compute_reward(self, achieved_goal, desired_goal, info):
        return -(np.abs(achieved_goal - desired_goal).sum(-1) > 0.3).astype(np.float64)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.place, self.goal = np.zeros(1), self.np_random.uniform(-3, 3, 1)
        return self.seen(), {}

    def step(self, action):
        self.place = np.clip(self.place + action, -10, 10)
        reward = float(self.compute_reward(self.place, self.goal, {}))
        return self.seen(), reward, False, False, {"is_success": reward == 0}


class Screen(gymnasium.Env):
    """An image of 12 x 10 in colour with as many lit rows as there were steps; it writes into the array it has given."""

    def __init__(self):
        self.observation_space = spaces.Box(0, 255, (12, 10, 3), np.uint8)
        self.action_space = spaces.Discrete(2)
        self.image = np.zeros((12, 10, 3), np.uint8)

    def reset(self, *, seed=None, options=None):
        super().reset(seed=seed)
        self.image[:], self.steps = 0, 0
        return self.image, {}

    def step(self, action):
        self.image[self.steps] = (10, 20, 30)
        self.steps += 1
        return self.image, 1.0, self.steps == 12, False, {}


class Forgetful(Line):
    """A line that carries its place over from one episode to the next, whatever the seed."""

    def reset(self, *, seed=None, options=None):
        carried = self.place
        _, info = super().reset(seed=seed)
        self.place += carried
        return self.seen(), info


class Broken(Line):
    """A line that fails at its second step."""

    def step(self, action):
        if self.steps:
            raise ValueError("the motor is\noff")
        return super().step(action)


NAMES = {"Line": Line, "Reach": Reach, "Screen": Screen, "Forgetful": Forgetful, "Broken": Broken}


@contextmanager
def registered(steps=9):
    """Let gymnasium know them as dlx/NAME-v0, truncated after some steps."""
    ids = {f"dlx/{name}-v0": f"{made.__module__}:{made.__name__}" for name, made in NAMES.items()}
    for name, made in ids.items():
        gymnasium.register(name, entry_point=made, max_episode_steps=steps)
    try:
        yield
    finally:
        for name in ids:
            del gymnasium.registry[name]


def demonstrated(file, name="Line", **given):
    """Make the source of demonstrations in one of them."""
    assert "demonstrations" in registry.sources
    facts = {"seed": 0, **{key: given.pop(key) for key in ("wanted_splits",) if key in given}}
    written = {"environment": f"dlx/{name}-v0", "file": str(file), "batch_size": 2, "episodes": 2, **given}
    choices, faults = check(registry.sources.signatures["demonstrations"], written)
    assert not faults
    return registry.sources.build("demonstrations", choices, facts)
