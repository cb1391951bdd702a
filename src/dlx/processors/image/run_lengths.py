"""Masks as run lengths, in COCO's forms: down the columns, runs of 0 and of 1 by turns, the first of 0."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

BITS, MORE, SIGN, FIRST = 5, 0x20, 0x10, 48  # of the characters that packed counts are written in
LONGEST = 7  # characters of a count: 2 ** 35


def encode(mask: np.ndarray) -> list[int]:
    """Return the run lengths of a mask, bool `(h, w)`."""
    flat = np.concatenate([[False], mask.astype(bool).T.ravel()])
    starts = np.concatenate([[0], np.flatnonzero(flat[1:] != flat[:-1]), [mask.size]])
    return np.diff(starts).tolist()


def decode(counts: Sequence[int], height: int, width: int) -> np.ndarray:
    """Return the mask, bool `(h, w)`, that run lengths stand for; raises ValueError where they do not fill it exactly."""
    if any(type(count) is not int or count < 0 for count in counts) or sum(counts) != height * width:
        raise ValueError(f"its run lengths do not fill {width}x{height} pixels")
    values = np.arange(len(counts)) % 2 == 1
    return np.repeat(values, np.array(counts, np.int64)).reshape(width, height).T


def unpacked(text: str) -> list[int]:
    """Return the run lengths of packed counts: 5 bits a character, each count from the third on less the one before the last.

    Raises ValueError where the text is none.
    """
    counts: list[int] = []
    value = place = 0
    for character in text:
        code = ord(character) - FIRST
        if not 0 <= code < 64 or place == LONGEST:
            raise ValueError("its packed run lengths are damaged")
        value |= (code & 31) << (BITS * place)
        place += 1
        if not code & MORE:
            value -= (1 << (BITS * place)) if code & SIGN else 0
            counts.append(value + (counts[-2] if len(counts) > 2 else 0))
            value = place = 0
    if place:
        raise ValueError("its packed run lengths are cut short")
    return counts
