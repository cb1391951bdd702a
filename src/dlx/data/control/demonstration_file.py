"""Demonstrations as one file: episodes that somebody played, as safetensors, which hold numbers and no code.

N steps of all E episodes stand behind each other, in their order:

observation        (N, *input_shape), as the policy saw them, and last_observation (E, *input_shape) at the ends
action             int64 (N,), or float32 (N, A) in units in which the environment's bounds are -1 and 1
reward             float64 (N,)
length             int64 (E,): the steps of each episode
terminated         bool (E,): else it was truncated
success            float64 (E,): 1 or 0, nan where the environment tells none
seed               int64 (E,), which the environment was reset with

The file's metadata have `format`, and as JSON `about`: the section `data` of the environment, and who played.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import numpy as np
import safetensors
import safetensors.torch
import torch
from torch import Tensor

from dlx.core import Played
from dlx.errors import ComponentError

FORMAT = "dlx demonstrations 1"
STEPS, EPISODES = ("observation", "action", "reward"), ("last_observation", "length", "terminated", "success", "seed")


class Demonstrations(NamedTuple):
    """What a file holds."""

    words: Mapping[str, Tensor]
    about: Mapping[str, Any]


def packed(episodes: Sequence[Played], about: Mapping[str, Any]) -> bytes:
    """Write episodes as the content of a file; `about` are JSON values."""
    arrays = {
        "observation": np.concatenate([one.observations[:-1] for one in episodes]),
        "last_observation": np.stack([one.observations[-1] for one in episodes]),
        "action": np.concatenate([one.actions for one in episodes]),
        "reward": np.concatenate([one.rewards for one in episodes]),
        "length": np.array([len(one.rewards) for one in episodes]),
        "terminated": np.array([one.terminated for one in episodes]),
        "success": np.array([one.success for one in episodes]),
        "seed": np.array([one.seed for one in episodes]),
    }
    tensors = {word: torch.from_numpy(np.ascontiguousarray(value)) for word, value in arrays.items()}
    content: bytes = safetensors.torch.save(tensors, {"format": FORMAT, "about": json.dumps(dict(about))})
    return content


def unpacked(file: str) -> Demonstrations:
    """Read a file of demonstrations; raises ComponentError where it is none, or says what cannot be."""
    try:
        with safetensors.safe_open(file, framework="pt") as content:
            metadata = content.metadata() or {}
            if metadata.get("format") != FORMAT:
                raise _error(file, f"is no file of dlx record: its format is not '{FORMAT}'")
            lacking = [word for word in (*STEPS, *EPISODES) if word not in content.keys()]  # noqa: SIM118
            if lacking:
                raise _error(file, f"lacks '{lacking[0]}'")
            words = {word: content.get_tensor(word) for word in (*STEPS, *EPISODES)}
        about = json.loads(metadata.get("about", "{}"))
    except (OSError, ValueError, RecursionError, safetensors.SafetensorError) as error:
        raise _error(file, f"cannot be read as safetensors: {str(error).splitlines()[0]}") from None
    _refuse_misfit(file, words)
    return Demonstrations(words, about if isinstance(about, dict) else {})


def _refuse_misfit(file: str, words: Mapping[str, Tensor]) -> None:
    """Hold the tensors against each other."""
    length = words["length"]
    if length.ndim != 1 or length.dtype != torch.int64 or not len(length) or (length < 1).any():
        raise _error(file, "holds no episode, or one without a step")
    for wanted, some in ((int(length.sum()), STEPS), (len(length), EPISODES)):
        for word in some:
            if words[word].ndim < 1 or len(words[word]) != wanted:
                raise _error(file, f"'{word}' has the shape {tuple(words[word].shape)}, but {wanted:,} entries belong there")
    if wrong := [word for word in STEPS if not words[word].isfinite().all()]:
        raise _error(file, f"'{wrong[0]}' holds numbers that are not finite")


def _error(file: str, message: str) -> ComponentError:
    return ComponentError(f"{file}: {message}", ("file",))
