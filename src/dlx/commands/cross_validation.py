"""`dlx cross-validate`: a config trained once for each fold, and what the folds have in common."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from dlx.commands import repeating
from dlx.commands.train import read
from dlx.errors import UsageError


def cross_validate(
    config: str, overrides: list[str], *, name: str | None, resume: bool, runs: Path, quiet: bool, trust: bool
) -> dict[str, Any]:
    """Train and test every fold, each in a run NAME-foldK, and give mean and standard deviation (n - 1) of each number.

    With `resume`, finished folds are only tested again. The summary is kept in NAME-folds.json beside the runs.
    """
    count, given = folds(config, overrides), name or Path(config).stem
    changes = {f"{given}-fold{fold}": [*overrides, f"data.fold={fold}"] for fold in range(count)}
    results = repeating.repeat(config, changes, "test", resume=resume, runs=runs, quiet=quiet, trust=trust)
    rows = repeating.numbers(results, "test")
    found = [{"run": result["run"], **row} for result, row in zip(results, rows, strict=True)]
    summary = {"folds": found, **repeating.mean_and_deviation(rows)}
    repeating.keep(runs / f"{given}-folds.json", summary)
    return summary


def folds(config: str, overrides: list[str]) -> int:
    """Return how many folds the data are cut into; raises UsageError where they are not."""
    described = read(config, [*overrides, "data.fold=0"])
    from dlx.assembly.planner import plan

    choices = plan(described).data.choices
    if "folds" not in choices:
        raise UsageError("the data are not cut into folds; data sets that are have the settings `fold` and `folds`")
    count: int = choices["folds"]
    return count


def render(summary: dict[str, Any], as_json: bool) -> str:
    """Write a summary as one JSON object, or as a table of a line each fold."""
    if as_json:
        return json.dumps(summary)
    rows = [(f"fold {number}", {n: one[n] for n in summary["mean"]}) for number, one in enumerate(summary["folds"])]
    return repeating.table([*rows, ("mean", summary["mean"]), ("deviation", summary["deviation"])])
