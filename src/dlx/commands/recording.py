"""`dlx record`: a policy plays, and what it sees and does is written down to be learned from."""

from __future__ import annotations

import math
import os
from pathlib import Path
from typing import Any

from dlx.commands.generating import create
from dlx.errors import UsageError

RANDOM = "random"
ACTING = "rollouts"  # the data set that a random policy is found in


def record(what: str, environment: str | None, output: Path | None, episodes: int, seed: int, overrides: list[str]) -> str:
    """Play episodes, which follow from `seed`, by a checkpoint or by random actions, and write them into a file; say what it holds.

    Raises UsageError where the file is there already, before anything is played.
    """
    if output is None:
        raise UsageError("-o FILE names the file to write, such as -o demonstrations.safetensors")
    if os.path.lexists(output):
        raise UsageError(f"{output}: is there already, and nothing is overwritten")
    source, actor, about = _random(environment, overrides) if what == RANDOM else _trained(what, environment, overrides)
    try:
        played = list(source.play(actor, episodes, seed))
    finally:
        source.close()
    from dlx.core.demonstrations import packed

    create(output, packed(played, {**about, "seed": seed}))
    return _told(output, played)


def _told(output: Path, played: list[Any]) -> str:
    returns = [math.fsum(one.rewards.tolist()) for one in played]
    mean, frames = math.fsum(returns) / len(returns), sum(len(one.rewards) for one in played)
    return f"wrote {output}: {len(played):,} episodes, {frames:,} frames, return {mean:.6g} ({min(returns):.6g} to {max(returns):.6g})"


def _random(environment: str | None, overrides: list[str]) -> tuple[Any, None, dict[str, Any]]:
    if environment is None:
        raise UsageError("say in which environment to act at random: dlx record random CartPole-v1 -o FILE")
    if overrides:
        raise UsageError("--set and --device change a checkpoint's config, and random actions have none")
    from dlx.assembly import planner

    data = {"name": ACTING, "environment": environment}
    return planner.source_of(data), None, {"data": data, "policy": RANDOM}


def _trained(path: str, environment: str | None, overrides: list[str]) -> tuple[Any, Any, dict[str, Any]]:
    if environment is not None:
        raise UsageError(f"a checkpoint plays in its own environment; another one: --set data.environment={environment}")
    from dlx.assembly.restore import load
    from dlx.engine.actor import Actor

    loaded = load(path)
    built = loaded.experiment(loaded.spec(overrides), loaded.trained_on(()), lambda plan: loaded.approve(plan, False))
    loaded.fill(built.task)
    policy = f"{built.plan.task.name}, step {loaded.json('state.json')['step']:,}"
    return built.source, Actor(built.task, built.device), {"data": built.plan.data.plain(), "policy": policy}
