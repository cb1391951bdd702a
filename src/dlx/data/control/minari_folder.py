"""Demonstrations as Minari has them (extra: minari): a folder with what the environment itself showed and took, in its own units.

Of somebody else's folder only numbers are read: an environment that it describes is never made.
"""

from __future__ import annotations

import json
import math
import os
import re
import secrets
import shutil
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from dlx.core import Played
from dlx.data.control.environment import Blueprint
from dlx.data.control.stage import refuse_elsewhere
from dlx.errors import ComponentError, UsageError

DATA, METADATA = "data", "metadata.json"
SPACES = ("observation_space", "action_space")
UNREADABLE = (OSError, ValueError, KeyError, TypeError, AttributeError, IndexError, AssertionError, RecursionError)


def library() -> Any:
    """Import Minari with what its files need; raises UsageError where the extra is not installed."""
    try:
        import h5py  # noqa: F401
        import minari.dataset.minari_storage
        from minari.data_collector import EpisodeBuffer
    except ImportError:
        raise UsageError("Minari's format needs the extra 'minari': pip install 'dlx[minari]'") from None
    return minari.dataset.minari_storage.MinariStorage, EpisodeBuffer, minari.__version__


def write(folder: Path, blueprint: Blueprint, episodes: Sequence[Played], about: Mapping[str, Any]) -> None:
    """Write episodes into a folder that is not there yet, by playing them once more; raises OSError.

    Raises DlxError where an episode does not come out as it was.
    """
    storage_class, buffer_class, version = library()
    partial = folder.absolute().with_name(f".{secrets.token_hex(8)}.partial")  # Minari measures no relative ones
    (partial / DATA).mkdir(parents=True)
    try:
        again = blueprint.make()
        spaces = {"observation_space": again.observation_space, "action_space": again.action_space}
        storage = storage_class.new(partial / DATA, env_spec=_described(again), jpeg_encoding=False, **spaces)
        again.close()
        name = re.sub(r"[^-\w]+", "-", folder.name)
        told = {"algorithm_name": str(about.get("policy", "")), "description": json.dumps(dict(about))}
        own = {"dataset_id": name if re.search(r"-v\d+$", name) else f"{name}-v0", "minari_version": version}
        storage.update_metadata({**own, **told})
        storage.update_episodes(buffer_class(**_words(blueprint, one)) for one in episodes)
        known = [number for number, one in enumerate(episodes) if not math.isnan(one.success)]
        storage.update_episode_metadata([{"success": bool(episodes[number].success)} for number in known], known)
        os.rename(partial, folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _described(environment: Any) -> Any:
    """Return what an environment is made by; None where that is no text, such as a class of the user's own."""
    try:
        environment.spec.to_json()
    except (TypeError, ValueError):
        return None
    return environment.spec


def _words(blueprint: Blueprint, episode: Played) -> dict[str, Any]:
    """Play an episode once more for what the environment shows, in its own form."""
    environment = blueprint.make()
    try:
        shown = [_copied(environment.reset(seed=episode.seed)[0])]
        taken, rewards = list(blueprint.actions.taken(episode.actions)), []
        for action in taken:
            given, reward, *_ = environment.step(action)
            shown.append(_copied(given))
            rewards.append(float(reward))
    finally:
        environment.close()
    refuse_elsewhere(np.array(rewards), episode.rewards, blueprint.name)
    ends = np.zeros(len(rewards), bool)
    ends[-1] = True
    return {
        "seed": episode.seed,
        "observations": _stacked(shown),
        "actions": np.stack(taken),
        "rewards": np.array(rewards),
        "terminations": ends & episode.terminated,
        "truncations": ends & (not episode.terminated),
    }


def _copied(given: Any) -> Any:
    """Copy an observation, since some environments write into what they gave."""
    if isinstance(given, Mapping):
        return {key: _copied(value) for key, value in given.items()}
    return tuple(_copied(value) for value in given) if isinstance(given, tuple) else np.array(given)


def _stacked(given: Sequence[Any]) -> Any:
    if isinstance(given[0], Mapping):
        return {key: _stacked([one[key] for one in given]) for key in given[0]}
    if isinstance(given[0], tuple):
        return tuple(_stacked([one[place] for one in given]) for place in range(len(given[0])))
    return np.stack(given)


def read(folder: str, blueprint: Blueprint) -> dict[str, Tensor]:
    """Return `observation` (N, ...) and `action` of all steps as a policy in an environment sees and does them.

    Raises ComponentError where the folder holds none, or those of another environment.
    """
    path = Path(folder)
    path = path if (path / METADATA).is_file() else path / DATA
    try:
        storage_class, *_ = library()
        about = storage_class.read_raw_metadata(path)
        if lacking := [word for word in SPACES if not isinstance(about.get(word), str)]:  # else the environment would be made
            raise ComponentError(f"{folder}: does not say its {lacking[0]}", ("file",))
        storage = storage_class.read(path)
        _refuse_other(folder, storage, blueprint)
        seen, done = zip(*_episodes(storage, blueprint), strict=True)
        words = {"observation": np.concatenate(seen), "action": np.concatenate(done)}
    except UsageError as error:
        raise ComponentError(str(error), ("file",)) from None
    except UNREADABLE as error:
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ComponentError(f"{folder}: cannot be read as a data set of Minari: {told}", ("file",)) from None
    return {word: torch.from_numpy(value) for word, value in words.items()}


def _refuse_other(folder: str, storage: Any, blueprint: Blueprint) -> None:
    environment = blueprint.make()
    own = (environment.observation_space, environment.action_space)
    environment.close()
    for word, found, wanted in zip(SPACES, (storage.observation_space, storage.action_space), own, strict=True):
        if found != wanted:
            told = f"its {word} is {found}, and that of '{blueprint.name}' {wanted}"
            raise ComponentError(f"{folder}: was recorded in another environment: {told}", ("file",))


def _episodes(storage: Any, blueprint: Blueprint) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    for episode in storage.get_episodes(range(storage.total_episodes)):
        steps = len(episode["rewards"])
        seen = [blueprint.observations(_at(episode["observations"], step)) for step in range(steps)]
        yield blueprint.behind_each_other(seen), blueprint.actions.units.unscaled(np.asarray(episode["actions"]))


def _at(value: Any, step: int) -> Any:
    if isinstance(value, Mapping):
        return {key: _at(one, step) for key, one in value.items()}
    return tuple(_at(one, step) for one in value) if isinstance(value, tuple) else value[step]
