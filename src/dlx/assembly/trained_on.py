"""What a checkpoint keeps of the data that its model was trained on, and whether the data at hand are still the same."""

from __future__ import annotations

import json
import logging
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dlx.core import Processor, Source
from dlx.errors import DlxError, UsageError

log = logging.getLogger("dlx")


@dataclass(frozen=True)
class TrainedOn:
    """Facts, processor and digests of the training data; `wanted_splits` are the only ones needed now, None for all.

    `references` has digests, too: of the checkpoints of other runs that the training asks, by their paths in the config.
    """

    facts: Mapping[str, Any]
    processor: Processor | None
    digests: Mapping[str, str]
    wanted_splits: frozenset[str] | None = None
    references: Mapping[str, str] = field(default_factory=dict)

    def hold(self, source: Source) -> None:
        """Raise DlxError where facts of the data at hand contradict those kept, if digests cannot tell."""
        if self.digests and source.digests:
            return
        now = json.loads(json.dumps(dict(source.facts)))
        if changed := [k for k, v in self.facts.items() if k in now and k != "seed" and not alike(v, now[k])]:
            told = "; ".join(f"{key} was {_short(self.facts[key])} and is {_short(now[key])}" for key in changed)
            raise DlxError(f"the data is not what this model was trained on: {told}")

    def changed(self, source: Source, split: str) -> bool:
        """Return whether a split is known to have other examples than it had when training began."""
        then, now = self.digests.get(split), source.digests.get(split)
        return then is not None and now is not None and then != now

    def refuse_changed(self, source: Source, data: str) -> None:
        """Raise UsageError where training cannot go on, since it would see other examples than it began with."""
        for split in ("train", "val"):
            if self.changed(source, split):
                kind = {"train": "training", "val": "validation"}[split]
                raise UsageError(
                    f"{data}: the {kind} split is not the one that this run began with: its examples or their order have "
                    "changed; bring the old data back, or begin another run with --name"
                )

    def refuse_other_references(self, now: Mapping[str, str]) -> None:
        """Raise UsageError where a checkpoint that training asks, such as an expert's, is another one than it began with."""
        for path, digest in self.references.items():
            if now.get(path, digest) != digest:
                raise UsageError(
                    f"{path}: is not the checkpoint that this run began with; bring the old one back, or begin another run with "
                    "--name"
                )

    def tell_changed(self, source: Source, split: str, data: str) -> None:
        """Warn where a split of its own has changed since; raise UsageError where one drawn from the training data has."""
        if not self.changed(source, split):
            return
        if split in source.drawn:
            raise UsageError(
                f"{data}: the {split} split is drawn from the training data, which have changed since the training: some of "
                f"its examples may have been trained on; bring the old data back, or give a {split} split of its own"
            )
        log.warning("%s: the %s split is not the one there was when training began", data, split)


def alike(one: Any, other: Any) -> bool:
    """Return whether two JSON values are equal but for the rounding of floats, which differs between machines."""
    if isinstance(one, dict) and isinstance(other, dict):
        return one.keys() == other.keys() and all(alike(one[key], other[key]) for key in one)
    if isinstance(one, list) and isinstance(other, list):
        return len(one) == len(other) and all(map(alike, one, other))
    if isinstance(one, float) and isinstance(other, (int, float)):
        return math.isclose(one, other, rel_tol=1e-6, abs_tol=1e-9)
    return bool(one == other)


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 80 else text[:77] + "..."
