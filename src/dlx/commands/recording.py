"""`dlx record`: a policy plays, and what it sees and does is written down to be learned from."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

from dlx.commands.generating import writing
from dlx.errors import UsageError

RANDOM, SCRIPTED = "random", "scripted"
ACTING = "rollouts"  # the data set in whose environment plays what was not trained


def record(
    what: str,
    environment: str | None,
    output: Path | None,
    episodes: int,
    seed: int,
    overrides: list[str],
    form: str = "dlx",
) -> str:
    """Play episodes, which follow from `seed`, and write them down in a form; say what is there.

    `what` plays: a checkpoint, or a script or random actions in an environment.
    Raises UsageError where the file is there already, before anything is played.
    """
    if output is None:
        raise UsageError("-o FILE names the file to write, such as -o demonstrations.safetensors")
    source, actor, about = (
        _untrained(what, environment, overrides) if what in (RANDOM, SCRIPTED) else _trained(what, environment, overrides)
    )
    try:
        with writing(output):
            played = source.record(source.play(actor, episodes, seed), output, form, {**about, "seed": seed})
    finally:
        source.close()
    return _told(output, played)


def _told(output: Path, played: list[Any]) -> str:
    returns = [math.fsum(one.rewards.tolist()) for one in played]
    mean, frames = math.fsum(returns) / len(returns), sum(len(one.rewards) for one in played)
    return f"wrote {output}: {len(played):,} episodes, {frames:,} frames, return {mean:.6g} ({min(returns):.6g} to {max(returns):.6g})"


def _untrained(what: str, environment: str | None, overrides: list[str]) -> tuple[Any, Any, dict[str, Any]]:
    if environment is None:
        raise UsageError(f"say in which environment: dlx record {what} CartPole-v1 -o FILE")
    if overrides:
        raise UsageError(f"--set and --device change a checkpoint's config, and {what} actions have none")
    from dlx.assembly import planner, policy

    data = {"name": ACTING, "environment": environment}
    source = planner.source_of(data)
    return source, policy.scripted(source) if what == SCRIPTED else None, {"data": data, "policy": what}


def _trained(path: str, environment: str | None, overrides: list[str]) -> tuple[Any, Any, dict[str, Any]]:
    if environment is not None:
        raise UsageError(f"a checkpoint plays in its own environment; another one: --set data.environment={environment}")
    from dlx.assembly.playing import playing
    from dlx.assembly.restore import load

    loaded = load(path)
    built, actor = playing(loaded, overrides)
    policy = f"{built.plan.task.name}, step {loaded.json('state.json')['step']:,}"
    return built.source, actor, {"data": built.plan.data.plain(), "policy": policy}
