"""`dlx list-models` and its like: the names of a registry with a line each."""

from __future__ import annotations

from typing import Any

NOT_FROM_DATA = (
    *("facts", "model", "params", "run", "quiet", "seed", "total_steps", "steps_per_epoch"),
    *("processor", "wanted_splits", "task_target"),
)  # they come from no data set


def listing(kind: str) -> list[dict[str, Any]]:
    """Give name, summary and the facts needed of every component of a kind."""
    from dlx.registry import REGISTRIES
    from dlx.registry.signatures import REQUIRED

    registry = REGISTRIES[kind]
    return [
        {
            "name": name,
            "summary": registry.summary(name),
            "facts": [
                p.name
                for p in registry.signatures[name].facts.values()
                if p.default is REQUIRED and p.name not in NOT_FROM_DATA
            ],
        }
        for name in registry.names()
    ]


def render(rows: list[dict[str, Any]]) -> str:
    """Write names and summaries as two columns."""
    width = max(len(row["name"]) for row in rows)
    return "\n".join(f"{row['name']:{width}}  {row['summary'] or '(no description)'}" for row in rows)
