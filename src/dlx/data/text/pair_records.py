"""Records of a text, an answer and further right answers, to the pairs of each split."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence

from dlx.data.records import Column, Record, split_of
from dlx.data.text.options import PairFiles, SplitShares
from dlx.data.text.pairs import Pair
from dlx.data.text.parts import refuse
from dlx.errors import ComponentError, UsageError


def given_pairs(
    read: Callable[[str], Iterable[Record]],
    files: PairFiles,
    split: str | None,
    shares: SplitShares,
    references: tuple[str, Sequence[Column]],
) -> tuple[dict[str, list[Pair]], SplitShares | None]:
    """Read the pairs of each split, and say what is to be drawn of the others.

    Where records begin with the split that they are in, `split` is the setting that says so, and nothing is drawn.
    `references` has the setting and its columns or keys; ComponentError where no record has a text of one.
    """
    found = {name: list(read(file)) for name, file in files.by_split().items()}
    if split:
        refuse_twice(split, {"val_file": files.val_file, "test_file": files.test_file, "val": shares.val, "test": shares.test})
        found = parted(found["train"])
    refuse_unused(*references, [texts for part in found.values() for texts, _ in part])
    return {name: pairs(part) for name, part in found.items()}, None if split else shares


def refuse_twice(split: str, others: Mapping[str, object]) -> None:
    """Raise ComponentError where the data say the split of each record and a setting does too."""
    if given := [name for name, value in others.items() if value is not None]:
        raise ComponentError(f"the data say which split a text is in ({split}); leave {given[0]} out", (given[0],))


def refuse_unused(setting: str, columns: Sequence[Column], rows: Sequence[Sequence[str]]) -> None:
    """Raise ComponentError where none of the rows, which end with these columns, has a text in one of them."""
    for number, column in enumerate(columns):
        if not any(texts[number - len(columns)] for texts in rows):
            raise ComponentError(f"{column!r}: no record has such a text", (setting, number))


def parted(records: Iterable[Record]) -> dict[str, list[Record]]:
    """Part records by the split that each begins with, in the order of the splits; UsageError where it is none."""
    found: dict[str, list[Record]] = {"train": [], "val": [], "test": []}
    for (word, *texts), place in records:
        found[split_of(word, place)].append((texts, place))
    return {split: part for split, part in found.items() if part}


def pairs(records: Iterable[Record]) -> list[Pair]:
    """Make pairs of records of two texts and further right answers; UsageError, with the lines, where one of the two is empty."""
    made, empty = list[Pair](), list[str]()
    for (source, target, *others), place in records:
        if source and target:
            right = tuple(dict.fromkeys((target, *filter(None, others))))
            made.append(Pair(source, target, right if len(right) > 1 else ()))
        else:
            empty.append(place)
    refuse(empty, "a text is missing")
    if not made:
        raise UsageError("there are no pairs of texts in the data")
    return made
