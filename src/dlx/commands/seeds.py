"""`dlx seeds`: a config trained with several seeds, and what can be said of its numbers beyond chance."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from dlx.commands import repeating
from dlx.errors import UsageError

RESAMPLES = 2000  # of the runs, drawn with replacement
LIKELY = 0.95  # share of the resamples within the interval


def seeds(
    config: str,
    overrides: list[str],
    count: int,
    split: str,
    *,
    name: str | None,
    resume: bool,
    runs: Path,
    quiet: bool,
    trust: bool,
) -> dict[str, Any]:
    """Train with the seeds from 0 to `count` - 1, each in a run NAME-seedK, and give what the numbers have in common.

    That is mean, standard deviation (n - 1), interquartile mean and its bootstrap interval, and the baseline's mean. With
    `resume`, finished runs are only tested again. The summary is kept in NAME-seeds.json beside the runs.
    """
    if count < 1:
        raise UsageError(f"--seeds {count}: at least one seed is wanted")
    given = name or Path(config).stem
    changes = {f"{given}-seed{seed}": [*overrides, f"seed={seed}"] for seed in range(count)}
    results = repeating.repeat(config, changes, split, resume=resume, runs=runs, quiet=quiet, trust=trust)
    rows, baselines = repeating.numbers(results, split), repeating.numbers(results, "baseline")
    summary = {
        "split": split,
        "seeds": [{"run": result["run"], **row} for result, row in zip(results, rows, strict=True)],
        **repeating.mean_and_deviation(rows),
        **middles(rows),
        "baseline": repeating.mean_and_deviation(baselines)["mean"],
    }
    repeating.keep(runs / f"{given}-seeds.json", summary)
    return summary


def middles(rows: Sequence[repeating.Numbers]) -> dict[str, repeating.Numbers]:
    """Compute the interquartile mean of each number, and both ends of its interval."""
    found: dict[str, repeating.Numbers] = {"interquartile_mean": {}, "low": {}, "high": {}}
    for name, values in repeating.columns(rows).items():
        found["interquartile_mean"][name] = interquartile_mean(values)
        found["low"][name], found["high"][name] = interval(values)
    return found


def interquartile_mean(values: Sequence[float]) -> float:
    """Return the mean of the middle half of numbers; where a quarter is no whole number, the outermost count in part."""
    ordered, quarter = sorted(values), len(values) / 4
    weights = [min(place + 1, len(values) - quarter) - max(place, quarter) for place in range(len(values))]
    return sum(w * v for w, v in zip(weights, ordered, strict=True) if w > 0) / (len(values) / 2)


def interval(values: Sequence[float]) -> tuple[float, float]:
    """Return where the interquartile mean may as well lie, by a percentile bootstrap over the runs (Agarwal et al. 2021).

    The draws are the same ones every time. Of a handful of runs the interval is a rough guess, and rather too narrow.
    """
    draw = random.Random(0)
    found = sorted(interquartile_mean(draw.choices(values, k=len(values))) for _ in range(RESAMPLES))
    beyond = round(RESAMPLES * (1 - LIKELY) / 2)
    return found[beyond], found[-1 - beyond]


def render(summary: dict[str, Any], as_json: bool) -> str:
    """Write a summary as one JSON object, or as a table of a line each seed."""
    if as_json:
        return json.dumps(summary)
    rows = [(f"seed {number}", {n: one[n] for n in summary["mean"]}) for number, one in enumerate(summary["seeds"])]
    last = {
        "mean": "mean", "deviation": "deviation", "interquartile_mean": "interquartile mean", "low": "from (95 %)",
        "high": "to (95 %)", "baseline": "baseline",
    }  # fmt: skip
    return repeating.table([*rows, *((words, summary[key]) for key, words in last.items())])
