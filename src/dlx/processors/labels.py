"""Labels of classes and categories: what counts as the same, and their codes."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from decimal import Decimal

import numpy as np
import pyarrow as pa

from dlx.processors.rows import number

_code = re.compile(r"[+-]?0[0-9]")  # a leading zero: a code such as 007, which is not the number 7
LONGEST = 40  # characters of a number that is written anew; a longer one stands for itself


def canonical(label: str) -> str:
    """Write a label such that equal numbers are written alike: 1, 1.0 and 1e0 are 1; 01 is a code and stays."""
    if number(label) is None or _code.match(label) or len(label) > LONGEST:
        return label
    value = Decimal(label)
    if abs(value.adjusted()) > LONGEST:
        return label
    text = f"{value:f}".lstrip("+")
    text = text.rstrip("0").rstrip(".") if "." in text else text
    return "0" if text in ("-0", "") else text


def distinct(labels: Iterable[str]) -> list[str]:
    """List labels that are not the same, in the order of the alphabet, each as it is written shortest."""
    shortest: dict[str, str] = {}
    for label in sorted(labels, key=lambda label: (len(label), label)):
        shortest.setdefault(canonical(label), label)
    return sorted(shortest.values())


def looks_alike(labels: Iterable[str]) -> list[str]:
    """List labels with leading zeros beside the same number without them: 01 beside 1."""
    known = set(labels)
    plain = {float(canonical(label)) for label in known if number(label) is not None and not _code.match(label)}
    return sorted(label for label in known if _code.match(label) and number(label) in plain)


class Vocabulary:
    """Names with codes counted from 0; a label that is written otherwise but means the same has the same code."""

    def __init__(self, names: Sequence[str]) -> None:
        self.exact = {name: code for code, name in enumerate(names)}
        alike: dict[str, list[int]] = {}
        for name, code in self.exact.items():
            alike.setdefault(canonical(name), []).append(code)
        # Two names of one meaning come from checkpoints older than this rule: there only the exact label counts.
        self.alike = {text: codes[0] for text, codes in alike.items() if len(codes) == 1}

    def code(self, label: str) -> int:
        """Return the code of a label, -1 where it is unknown."""
        found = self.exact.get(label, -1)
        return found if found >= 0 else self.alike.get(canonical(label), -1)

    def codes(self, cells: pa.Array, strip: str = "") -> np.ndarray:
        """Return the codes of labels `(N,)`, each without the characters of `strip` at its end."""
        labels, indices = unique(cells, strip)
        return np.array([self.code(label) for label in labels], np.int64)[indices] if labels else np.zeros(0, np.int64)


def unique(cells: pa.Array, strip: str = "") -> tuple[list[str], np.ndarray]:
    """Return the labels that occur, perhaps some twice, and for each cell the number of its label `(N,)`."""
    encoded = cells.dictionary_encode()
    return [label.rstrip(strip) for label in encoded.dictionary.to_pylist()], encoded.indices.to_numpy(zero_copy_only=False)
