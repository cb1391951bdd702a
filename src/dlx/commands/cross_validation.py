"""`dlx cross-validate`: a config trained once for each fold, and what the folds have in common."""

from __future__ import annotations

import json
import statistics
from pathlib import Path
from typing import Any

from dlx.commands.evaluate import evaluate
from dlx.commands.train import read, train
from dlx.errors import UsageError, brief, one_line
from dlx.storage import files


def cross_validate(
    config: str, overrides: list[str], *, name: str | None, resume: bool, runs: Path, quiet: bool, trust: bool
) -> dict[str, Any]:
    """Train and test every fold, each in a run NAME-foldK, and give mean and standard deviation (n - 1) of each number.

    With `resume`, finished folds are only tested again. The summary is kept in NAME-folds.json beside the runs.
    """
    count, given = folds(config, overrides), name or Path(config).stem
    found = list[dict[str, Any]]()
    for fold in range(count):
        run = train(
            config, [*overrides, f"data.fold={fold}"],
            name=f"{given}-fold{fold}", resume=resume, runs=runs, quiet=quiet, trust=trust,
        )  # fmt: skip
        result = evaluate(run["run"], [], "test", trust)
        numbers = {k.partition("/")[2]: v for k, v in result.items() if k.startswith("test/") and k.count("/") == 1}
        found.append({"run": run["run"], **numbers})
    names = [name for name in found[0] if name != "run" and all(name in one for one in found)]
    values = {name: [one[name] for one in found] for name in names}
    summary = {
        "folds": found,
        "mean": {name: statistics.fmean(numbers) for name, numbers in values.items()},
        "deviation": {name: statistics.stdev(numbers) for name, numbers in values.items()},
    }
    files.write(runs / f"{given}-folds.json", json.dumps(summary, indent=1).encode())
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
    names = list(summary["mean"])
    width = max(12, *(len(name) for name in names))
    rows = [(f"fold {number}", one) for number, one in enumerate(summary["folds"])]
    rows += [("mean", summary["mean"]), ("deviation", summary["deviation"])]
    head = f"{'':10}" + "".join(f"  {one_line(name):>{width}}" for name in names)
    return "\n".join([head, *(f"{label:10}" + "".join(f"  {brief(one[n], 4):>{width}}" for n in names) for label, one in rows)])
