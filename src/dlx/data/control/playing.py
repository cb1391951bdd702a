"""Episodes played one after another for somebody who looks at them, or learns from them."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from dlx.core import Film, Played
from dlx.data.control.environment import Blueprint, Environment, episode_seed
from dlx.data.control.stage import Stream
from dlx.errors import ComponentError

Choose = Callable[[np.ndarray], np.ndarray]  # an observation (1, ...) to an action (1, ...)
FILM = "rgb_array"  # the mode in which gymnasium gives frames as arrays
MOST_FRAMES, LONGEST_SIDE = 600, 400  # of a film: of a longer episode every second frame is kept, or every fourth, ...
FRAMES_A_SECOND = 30  # where the environment tells none


class Camera:
    """Takes the frames of an episode, in memory that does not grow with its length."""

    def __init__(self, environment: Environment) -> None:
        self.environment, self.frames, self.every, self.seen = environment, list[np.ndarray](), 1, 0

    def take(self) -> None:
        """Keep what is to be seen now, where it is its turn."""
        if self.seen % self.every == 0:
            self.frames.append(_smaller(self.environment.picture()))
        if len(self.frames) > MOST_FRAMES:
            self.frames, self.every = self.frames[::2], 2 * self.every
        self.seen += 1

    def film(self) -> Film:
        """Return the film, which shows the episode in the environment's own time."""
        a_second = self.environment.inner.metadata.get("render_fps") or FRAMES_A_SECOND
        return Film(self.frames, 1000 * self.every / a_second)


def _smaller(frame: np.ndarray) -> np.ndarray:
    """Shrink a frame by a whole number until it is small enough, to means of squares of pixels."""
    by = -(-max(frame.shape[:2]) // LONGEST_SIDE)
    height, width = frame.shape[0] // by, frame.shape[1] // by
    squares = frame[: height * by, : width * by].reshape(height, by, width, by, 3)
    return squares.mean((1, 3)).round().astype(np.uint8)


class Player:
    """One environment to play in; raises ComponentError where it is to be filmed and cannot be."""

    def __init__(self, blueprint: Blueprint, filmed: bool = False) -> None:
        self.blueprint, self.filmed = blueprint, filmed
        if filmed:
            os.environ.setdefault("SDL_VIDEODRIVER", "dummy")  # what draws must ask for no screen
            os.environ.setdefault("SDL_NO_SIGNAL_HANDLERS", "1")  # else SIGTERM would no longer end what films
            os.environ.setdefault("MUJOCO_GL", "egl")
            if FILM not in blueprint.render_modes:
                told = (
                    f"it renders {', '.join(blueprint.render_modes)} only" if blueprint.render_modes else "it renders nothing"
                )
                raise ComponentError(f"'{blueprint.name}' cannot be filmed: {told}", ("environment",))
        self.environment = Environment(blueprint, FILM if filmed else None)

    def play(self, choose: Choose, stream: Stream, number: int) -> Played:
        """Play an episode of a stream, by its number."""
        environment = self.environment
        environment.begin(stream, number)
        seen, actions, rewards, ended = [environment.observation.copy()], list[Any](), list[float](), False
        camera = Camera(environment) if self.filmed else None
        terminated = False
        while not ended:
            if camera:
                camera.take()
            action = self.blueprint.actions.within(choose(seen[-1][None]))
            reward, terminated, truncated = environment.step(next(iter(self.blueprint.actions.taken(action))))
            seen.append(environment.observation.copy())
            actions.append(action[0])
            rewards.append(reward)
            ended = terminated or truncated
        if camera:
            camera.take()
        film, seed = camera.film() if camera else None, episode_seed(*stream, number)
        arrays = (np.stack(seen), np.stack(actions), np.array(rewards))
        return Played(*arrays, terminated, environment.success, seed, film)

    def again(self, actions: Sequence[np.ndarray], stream: Stream, number: int) -> Played:
        """Play an episode once more, by the actions that were chosen in it."""
        given = iter(actions)
        return self.play(lambda seen: next(given)[None], stream, number)

    def close(self) -> None:
        """Let go of the environment."""
        self.environment.close()


def each(player: Player, choose: Choose, stream: Stream, count: int) -> Iterator[Played]:
    """Play so many episodes of a stream, and let go of the environment."""
    try:
        for number in range(count):
            yield player.play(choose, stream, number)
    finally:
        player.close()
