"""What commands share that train a config several times: a run each, its test numbers, and a table of them."""

from __future__ import annotations

import json
import statistics
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from dlx.commands.evaluate import evaluate
from dlx.commands.train import train
from dlx.errors import brief, one_line
from dlx.storage import files

Numbers = dict[str, float]


def repeat(
    config: str, changes: Mapping[str, list[str]], split: str, *, resume: bool, runs: Path, quiet: bool, trust: bool
) -> list[dict[str, Any]]:
    """Train a config once for each name of a run, with the overrides that it has, and give what `dlx eval` says of each.

    With `resume`, finished runs are only tested again.
    """
    found = list[dict[str, Any]]()
    for name, overrides in changes.items():
        run = train(config, overrides, name=name, resume=resume, runs=runs, quiet=quiet, trust=trust)
        found.append({"run": run["run"], **evaluate(run["run"], [], split, trust)})
    return found


def numbers(results: Sequence[Mapping[str, Any]], prefix: str) -> list[Numbers]:
    """Return the numbers of every result under a prefix, as far as all have them; those of single classes are left out."""
    own = [
        {k.partition("/")[2]: v for k, v in one.items() if k.startswith(f"{prefix}/") and k.count("/") == 1} for one in results
    ]
    return [{name: value for name, value in one.items() if all(name in other for other in own)} for one in own]


def columns(rows: Sequence[Numbers]) -> dict[str, list[float]]:
    """Return what all rows say of each name."""
    return {name: [row[name] for row in rows] for name in rows[0]}


def mean_and_deviation(rows: Sequence[Numbers]) -> dict[str, Numbers]:
    """Compute mean and standard deviation (n - 1) of each number; that of a single row is 0."""
    values = columns(rows)
    return {
        "mean": {name: statistics.fmean(found) for name, found in values.items()},
        "deviation": {name: statistics.stdev(found) if len(found) > 1 else 0.0 for name, found in values.items()},
    }


def keep(path: Path, summary: Mapping[str, Any]) -> None:
    """Write a summary beside the runs that it is of."""
    files.write(path, json.dumps(summary, indent=1).encode())


def table(rows: Sequence[tuple[str, Numbers]]) -> str:
    """Write rows of the same numbers under their names, which the first row gives."""
    names = list(rows[0][1])
    width = max(12, *(len(name) for name in names))
    label = max(10, *(len(name) for name, _ in rows))
    head = " " * label + "".join(f"  {one_line(name):>{width}}" for name in names)
    cell = [
        f"{name:{label}}" + "".join(f"  {brief(row[n], 4) if n in row else '':>{width}}" for n in names) for name, row in rows
    ]
    return "\n".join([head, *cell])
