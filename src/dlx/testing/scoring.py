"""What metrics promise."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

from dlx import registry
from dlx.core import Batch, Metric
from dlx.testing.common import build, joined, taken

TOLERANCE = 1e-6


def check_metric(
    name: str,
    facts: Mapping[str, Any],
    batches: Sequence[tuple[Batch, Batch]],
    expected: Mapping[str, float] | None = None,
    choices: Mapping[str, Any] | None = None,
    *,
    tolerance: float = TOLERANCE,
) -> None:
    """Check a registered metric on pairs of a prediction and its batch.

    The numbers are those `expected`, which a reference computed; they are the same sample by sample, in the batches given and
    in one batch of all; merging two that saw half equals one that saw all; nothing seen is no crash.
    """

    def make() -> Metric:
        made: Metric = build(registry.metrics, name, choices, facts)
        return made

    def numbers(seen: Sequence[tuple[Batch, Batch]]) -> dict[str, float]:
        metric = make()
        for prediction, batch in seen:
            metric.update(prediction, batch)
        return metric.compute()

    found = numbers(batches)
    assert found, f"{name}: computes no number"
    for key, value in (expected or {}).items():
        assert key in found, f"{name}: computes no '{key}', but {', '.join(found)}"
        assert _close(found[key], value, tolerance), f"{name}: '{key}' is {found[key]}, and {value} by the reference"
    whole = [(joined([p for p, _ in batches]), joined([b for _, b in batches]))]
    _equal(name, found, numbers(whole), "in one batch", tolerance)
    size = len(next(iter(whole[0][0].values())))
    single = [(taken(whole[0][0], slice(i, i + 1)), taken(whole[0][1], slice(i, i + 1))) for i in range(size)]
    _equal(name, found, numbers(single), "sample by sample", tolerance)
    first, second = make(), make()
    for half, metric in ((batches[: len(batches) // 2], first), (batches[len(batches) // 2 :], second)):
        for prediction, batch in half:
            metric.update(prediction, batch)
    first.merge(second)
    _equal(name, found, first.compute(), "merged of two halves", tolerance)
    make().compute()  # of nothing


def _equal(name: str, one: Mapping[str, float], other: Mapping[str, float], how: str, tolerance: float) -> None:
    assert one.keys() == other.keys(), f"{name}: computes other numbers {how}: {sorted(one.keys() ^ other.keys())}"
    wrong = [key for key in one if not _close(one[key], other[key], tolerance)]
    assert not wrong, f"{name}: '{wrong[0]}' is {one[wrong[0]]}, and {other[wrong[0]]} {how}"


def _close(one: float, other: float, tolerance: float) -> bool:
    return (math.isnan(one) and math.isnan(other)) or math.isclose(one, other, rel_tol=tolerance, abs_tol=tolerance)
