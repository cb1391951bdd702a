"""What the checks share: building a component as a config would, and comparing what it gives."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor

from dlx.registry import Registry
from dlx.registry.signatures import check


def build(kind: Registry, name: str, choices: Mapping[str, Any] | None, facts: Mapping[str, Any]) -> Any:
    """Build a component by its name, with choices as YAML would give them."""
    assert name in kind, f"no {kind.kind} '{name}': register it, by @{kind.package.rpartition('.')[2]}(\"{name}\")"
    checked, faults = check(kind.signatures[name], dict(choices or {}))
    assert not faults, f"{kind.kind} '{name}': {faults[0].path}: {faults[0].message}"
    return kind.build(name, checked, facts)


def same(one: Any, other: Any, tolerance: float = 0.0) -> bool:
    """Return whether two values are equal, tensors within a tolerance, lists and mappings entry by entry."""
    if isinstance(one, Tensor) and isinstance(other, Tensor):
        if one.shape != other.shape or one.dtype != other.dtype:
            return False
        if not tolerance or not one.is_floating_point():
            return torch.equal(one, other)
        return torch.allclose(one, other, rtol=tolerance, atol=tolerance, equal_nan=True)
    if isinstance(one, Mapping) and isinstance(other, Mapping):
        return one.keys() == other.keys() and all(same(one[key], other[key], tolerance) for key in one)
    if isinstance(one, (list, tuple)) and isinstance(other, (list, tuple)):
        return len(one) == len(other) and all(same(a, b, tolerance) for a, b in zip(one, other, strict=True))
    return bool(one == other)


def as_json(value: Any, what: str) -> Any:
    """Return a value as it comes back from a JSON file."""
    try:
        return json.loads(json.dumps(value))
    except (TypeError, ValueError) as error:
        raise AssertionError(f"{what} is kept in checkpoints, so it holds JSON values only: {error}") from None


def taken(words: Mapping[str, Any], rows: slice) -> dict[str, Any]:
    """Return some samples of a batch."""
    return {word: value[rows] if isinstance(value, (Tensor, list)) else value for word, value in words.items()}


def joined(batches: list[Mapping[str, Any]]) -> dict[str, Any]:
    """Join batches of equal sizes of samples into one."""
    first = batches[0]
    return {
        word: torch.cat([b[word] for b in batches])
        if isinstance(value, Tensor) and value.ndim
        else [entry for b in batches for entry in b[word]]
        if isinstance(value, list)
        else value
        for word, value in first.items()
    }
