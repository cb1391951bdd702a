"""Splits of texts: drawn with equal texts together, counted where they overlap, and told apart from any others."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TypeVar

from dlx.data.splits import draw
from dlx.data.text.options import SplitShares
from dlx.errors import ComponentError, UsageError

FRACTION = 0.1  # of the texts, where neither a file nor a fraction gives a split
MOST_NAMED = 5  # places that one message tells
T = TypeVar("T")

log = logging.getLogger("dlx")


def folded(text: str) -> str:
    """Return what texts that differ in case only have in common."""
    return text.casefold().strip()


def divide(
    given: Mapping[str, Sequence[T]], shares: SplitShares | None, text: Callable[[T], str], unit: str
) -> tuple[dict[str, Sequence[T]], list[str]]:
    """Draw the splits that are not given from the training split; what has the same text, whatever its case, stays together.

    Returns the splits and the names of those drawn: none where there are no shares.
    """
    if shares is None:
        return dict(given), []
    fractions = {split: share for split, share in (("val", shares.val), ("test", shares.test)) if share is not None}
    for split in fractions:
        if split in given:
            raise ComponentError(f"the data say which {unit}s are for {split}; leave it out", (split,))
    missing = [split for split in ("val", "test") if split not in given and fractions.get(split) != 0]
    if not missing:
        return dict(given), []
    train, groups = given["train"], dict[str, int]()
    numbers = [groups.setdefault(folded(text(one)), len(groups)) for one in train]
    wanted = {split: fractions.get(split, FRACTION) if split in missing else 0.0 for split in ("val", "test")}
    where = [""] * len(groups)
    for split, members in draw(len(groups), wanted["val"], wanted["test"], shares.split_seed, unit=unit).items():
        for group in members:
            where[group] = split
    parts = {split: [one for one, n in zip(train, numbers, strict=True) if where[n] == split] for split in ("train", *missing)}
    return {**given, **parts}, missing


def tell_shared(
    parts: Mapping[str, Iterable[str]], unit: str, same: Callable[[str], str] = folded, level: int = logging.WARNING
) -> None:
    """Say how many texts of validation and test stand in the training split too; `same` gives what equal ones share."""
    train = {same(text) for text in parts.get("train", ())}
    for split in ("val", "test"):
        if found := [text for text in parts.get(split, ()) if same(text) in train]:
            log.log(
                level, "%s: %s %ss stand in the training split too, such as %r", split, f"{len(found):,}", unit, found[0][:60]
            )


def tell_cut(split: str, cut: int, count: int, what: str, most: int) -> None:
    """Say how many texts of a split are cut, if any are; `what` has a place for the longest length."""
    if cut:
        log.warning("%s: %s of %s " + what, split, f"{cut:,}", f"{count:,}", most)


def refuse(places: Sequence[str], fault: str) -> None:
    """Raise UsageError that names the first places, if there are any, where texts have a fault."""
    if places:
        more = f" and {len(places) - MOST_NAMED:,} more" if len(places) > MOST_NAMED else ""
        raise UsageError(f"{fault}: {', '.join(places[:MOST_NAMED])}{more}; leave such lines out")


def digest(rows: Iterable[Sequence[str]]) -> str:
    """Return what tells these rows of texts, in this order, from any others."""
    found = hashlib.blake2b(digest_size=16)
    for texts in rows:
        found.update((",".join(str(len(text)) for text in texts) + ":" + "".join(texts)).encode("utf-8", "surrogatepass"))
    return found.hexdigest()
