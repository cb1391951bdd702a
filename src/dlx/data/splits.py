"""Drawing validation and test examples, the same ones whatever the experiment's seed, and choosing the splits that are wanted."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, NamedTuple, TypeVar

import numpy as np
from pydantic import Field

from dlx.data.options import Checkpoint
from dlx.errors import ComponentError, UsageError

T = TypeVar("T")
Fraction = Annotated[float, Field(ge=0, lt=1)]
SplitSeed = Annotated[int, Field(ge=0, lt=2**32)]  # what numpy's RandomState takes
# What people call the splits, in folders, archives, columns and lists, whatever the case.
SPLIT_WORDS = {
    "train": "train", "training": "train",
    "val": "val", "valid": "val", "validation": "val", "dev": "val", "development": "val",
    "test": "test", "testing": "test",
}  # fmt: skip


def split_named(word: str) -> str | None:
    """Return the split (train, val or test) that a word means; None where it means none."""
    return SPLIT_WORDS.get(word.strip().lower())


def draw(
    size: int,
    val: float,
    test: float,
    split_seed: int,
    labels: Sequence | np.ndarray | None = None,
    unit: str = "example",
    remedy: str = "add more of them, or leave them out",
) -> dict[str, list[int]]:
    """Divide the numbers below `size`, each part in ascending order; both fractions are of the whole.

    With labels every class keeps its share (as in scikit-learn's train_test_split, stratified). The test examples are drawn first,
    so they do not depend on `val`. A fraction of 0 gives no such split. Raises ComponentError where the examples are too few:
    `unit` says what one is called, `remedy` what to do about a class of only one.
    """
    if val + test >= 1:
        raise ComponentError(f"val {val} and test {test} leave nothing to train on", ("val",))
    classes = None if labels is None else Classes(*np.unique(np.asarray(labels), return_inverse=True), unit, remedy)
    train, parts = np.arange(size), {}
    for name, fraction in (("test", test), ("val", val)):
        if fraction:
            count = int(np.ceil(fraction * size - 1e-9))  # as scikit-learn rounds, but for 0.1 * 30 = 3.0000000000000004
            train, parts[name] = _divide(train, count, split_seed, classes, name, unit)
    return {name: sorted(parts[name].tolist()) for name in ("val", "test") if name in parts} | {"train": sorted(train.tolist())}


class Classes(NamedTuple):
    """The classes of all examples: their names in order, each example's number among them, and how to speak of them."""

    names: np.ndarray
    codes: np.ndarray
    unit: str
    remedy: str

    def refuse_rare(self, numbers: np.ndarray, split: str) -> None:
        """Raise ComponentError where a class has too few of these examples to be in both parts."""
        counts = np.bincount(self.codes[numbers], minlength=len(self.names))
        if rare := [f"'{name}'" for name in self.names[counts == 1].tolist()]:
            told = ", ".join(rare[:5]) + (f" and {len(rare) - 5:,} more" if len(rare) > 5 else "")
            verb = "has" if len(rare) == 1 else "have"
            message = (
                f"cannot share the classes out between train and {split}: {told} {verb} one {self.unit} only; {self.remedy}"
            )
            raise ComponentError(message, (split,))


def _divide(
    numbers: np.ndarray, count: int, split_seed: int, classes: Classes | None, name: str, unit: str
) -> tuple[np.ndarray, np.ndarray]:
    """Draw `count` of some numbers, as scikit-learn's train_test_split does, whose import takes a second of every start."""
    refusal = f"cannot draw {count} of {len(numbers)} {unit}s for {name}: "
    if count >= len(numbers):
        raise ComponentError(f"{refusal}none would be left to train on", (name,))
    random = np.random.RandomState(split_seed)
    if classes is None:
        order = random.permutation(len(numbers))
        return numbers[order[count:]], numbers[order[:count]]
    classes.refuse_rare(numbers, name)
    _, codes, sizes = np.unique(classes.codes[numbers], return_inverse=True, return_counts=True)
    if min(count, len(numbers) - count) < len(sizes):
        least = f"{min(count, len(numbers) - count)} {unit}s cannot be of {len(sizes)} classes"
        raise ComponentError(f"{refusal}{least}; every class is to be in both parts", (name,))
    kept = _shared(sizes, len(numbers) - count, random)
    drawn = _shared(sizes - kept, count, random)
    of_class = np.split(np.argsort(codes, kind="stable"), np.cumsum(sizes)[:-1])
    orders = [members[random.permutation(len(members))] for members in of_class]
    rest = np.concatenate([order[:k] for order, k in zip(orders, kept, strict=True)])
    part = np.concatenate([order[k : k + d] for order, k, d in zip(orders, kept, drawn, strict=True)])
    return numbers[random.permutation(rest)], numbers[random.permutation(part)]


def _shared(sizes: np.ndarray, count: int, random: np.random.RandomState) -> np.ndarray:
    """Share `count` out among classes by their sizes; the largest remainders are rounded up, equal ones drawn by lot."""
    exact = sizes / sizes.sum() * count
    shares = np.floor(exact)
    remainders = exact - shares
    missing = int(count - shares.sum())
    for remainder in np.unique(remainders)[::-1]:
        if missing <= 0:
            break
        equal = np.flatnonzero(remainders == remainder)
        chosen = random.choice(equal, size=min(len(equal), missing), replace=False)
        shares[chosen] += 1
        missing -= len(chosen)
    return shares.astype(int)


def chosen(parts: Mapping[str, T], checkpoint: Checkpoint) -> dict[str, T]:
    """Return the splits that are wanted; raises UsageError where the data have none of them, or nothing to learn from."""
    if not checkpoint.processor:
        if "train" not in parts:
            raise UsageError(f"the data has no split 'train' to learn from; it has {', '.join(parts)}")
        return dict(parts)
    wanted = checkpoint.wanted_splits
    found = {split: part for split, part in parts.items() if wanted is None or split in wanted}
    if not found:
        raise UsageError(f"the data has no split '{' or '.join(sorted(wanted or ()))}'; it has {', '.join(parts)}")
    return found
