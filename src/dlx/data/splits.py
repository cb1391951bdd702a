"""Drawing validation and test rows from a table, the same ones whatever the experiment's seed."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Annotated

import numpy as np
from pydantic import Field

from dlx.errors import Misfit

Fraction = Annotated[float, Field(ge=0, lt=1)]
SplitSeed = Annotated[int, Field(ge=0, lt=2**32)]  # what scikit-learn takes
# What people call the splits, in folders, archives, columns and lists, whatever the case.
SPLIT_WORDS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val", "development": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


def split_named(word: str) -> str | None:
    """Return the split (train, val or test) that a word means; None where it means none."""
    return SPLIT_WORDS.get(word.strip().lower())


def draw(size: int, val: float, test: float, split_seed: int, labels: Sequence | None = None) -> dict[str, list[int]]:
    """Divide the numbers below `size`, each part in ascending order; both fractions are of the whole.

    With labels every class keeps its share (scikit-learn's train_test_split, stratified). The test rows are drawn first,
    so they do not depend on `val`. A fraction of 0 gives no such split. Raises Misfit where the rows are too few.
    """
    if val + test >= 1:
        raise Misfit(f"val {val} and test {test} leave nothing to train on", ("val",))
    train, parts = np.arange(size), {}
    for name, fraction in (("test", test), ("val", val)):
        if fraction:
            count = int(np.ceil(fraction * size - 1e-9))  # as scikit-learn rounds, but for 0.1 * 30 = 3.0000000000000004
            train, parts[name] = _divide(train, count, split_seed, labels, name)
    return {name: sorted(parts[name].tolist()) for name in ("val", "test") if name in parts} | {"train": sorted(train.tolist())}


def _divide(
    numbers: np.ndarray, count: int, split_seed: int, labels: Sequence | None, name: str
) -> tuple[np.ndarray, np.ndarray]:
    from sklearn.model_selection import train_test_split

    kept = None if labels is None else [labels[i] for i in numbers]
    if kept is not None and (rare := [f"{label!r}" for label, found in Counter(kept).items() if found < 2]):
        raise Misfit(
            f"cannot share the classes out between train and {name}: {', '.join(rare[:5])} has one row only; "
            "add rows, or draw without regard to the classes (stratify: false)",
            (name,),
        )
    try:
        return tuple(train_test_split(numbers, test_size=count, random_state=split_seed, stratify=kept))
    except ValueError as error:
        raise Misfit(f"cannot draw {count} of {len(numbers)} rows for {name}: {error}", (name,)) from None
