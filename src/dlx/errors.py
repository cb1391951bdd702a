"""What can go wrong by a user's hand, and how it is said: one message with the place and the remedy."""

from __future__ import annotations

import difflib
import itertools
import math
import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

Path = tuple[str | int, ...]
MAX_TOLD = 50  # faults of one kind in one place; the others are counted


@dataclass(frozen=True)
class Fault:
    """One mistake in a config, at the path of the key it concerns."""

    path: Path
    message: str
    absent_file: bool = field(default=False, compare=False)  # the file it names is not there: a fault where it is needed


def limited(path: Path, faults: Iterator[Fault], count: int) -> list[Fault]:
    """Give the first of `count` faults, which are found one by one, and say how many more there are."""
    more = [Fault(path, f"and {count - MAX_TOLD:,} more of this kind")] if count > MAX_TOLD else []
    return [*itertools.islice(faults, MAX_TOLD), *more]


class Marker:
    """Base of what stands in an Annotated type and knows more of its values than the type says.

    `check` may change a value, such as a path to a full one, and tells its faults; `describe` says what is wanted, "" where
    the type does; `json_schema` stands for the type's own, with the `definitions` that it refers to.
    """

    def check(self, value: Any, path: Path) -> tuple[Any, list[Fault]]:
        """Return the value as it is meant, and its faults."""
        return value, []

    def describe(self) -> str:
        """Say what is wanted."""
        return ""

    def json_schema(self) -> dict[str, Any] | None:
        """Return the schema of values; None for that of the type."""
        return None

    def definitions(self) -> dict[str, dict[str, Any]]:
        """Return the schemas that `json_schema` refers to."""
        return {}


class DlxError(Exception):
    """A failure that is told in one message; `code` is the exit code."""

    code = 1


class UsageError(DlxError):
    """The command or the config is at fault, not the run."""

    code = 2


class ConfigError(UsageError):
    """Faults found in a config, all of one pass."""

    def __init__(self, faults: Iterable[Fault]) -> None:
        self.faults = list(faults)
        super().__init__("\n".join(f"{dotted(f.path)}: {f.message}" for f in self.faults))


class ComponentError(UsageError):
    """A component cannot work with what it was given; `path` is relative to the component's section."""

    def __init__(self, message: str, path: Path = ()) -> None:
        self.message, self.path = message, path
        super().__init__(message)


class InterruptedBySignalError(Exception):
    """Training was asked to stop by a signal; a checkpoint is saved."""

    def __init__(self, signal: int) -> None:
        self.signal = signal


def dotted(path: Path) -> str:
    """Write ("model", "layers", 3, "dense") as model.layers[3].dense."""
    text = ""
    for part in path:
        text += f"[{part}]" if isinstance(part, int) else f".{part}" if text else str(part)
    return text


# What people coming from other tools type: the words are too far from ours for spelling to find them.
FOREIGN = {
    "learning_rate": "lr", "lr_rate": "lr", "max_epochs": "epochs", "num_epochs": "epochs", "n_epochs": "epochs",
    "max_steps": "steps", "dataset": "data", "datamodule": "data", "network": "model", "scheduler": "schedule",
    "lr_scheduler": "schedule", "optim": "optimizer", "units": "size", "random_seed": "seed", "gpu": "device",
    "accelerator": "device", "gradient_clip_val": "clip_norm", "max_grad_norm": "clip_norm",
    "accumulate_grad_batches": "accumulate", "gradient_accumulation_steps": "accumulate", "patience": "early_stopping",
    "env": "environment", "env_id": "environment", "gamma": "discount", "num_envs": "copies", "n_envs": "copies",
    "n_steps": "steps", "num_steps": "steps", "buffer_size": "capacity", "learning_starts": "warmup",
    "batch": "batch_size", "logger": "loggers", "metric": "metrics", "type": "name", "class": "name",
}  # fmt: skip


def edit_distance(a: str, b: str) -> int:
    """Count the insertions, deletions, replacements and swaps of neighbours between two words."""
    rows = [list(range(len(b) + 1))]
    for i, x in enumerate(a, 1):
        row = [i]
        for j, y in enumerate(b, 1):
            row.append(min(rows[-1][j] + 1, row[-1] + 1, rows[-1][j - 1] + (x != y)))
            if i > 1 and j > 1 and x == b[j - 2] and a[i - 2] == y:
                row[-1] = min(row[-1], rows[-2][j - 2] + 1)
        rows.append(row)
    return rows[-1][-1]


def nearest(word: str, choices: Iterable[str]) -> list[str]:
    """Find what was meant: the foreign word's own name and the words fewest edits away, else the alike."""
    choices = list(choices)
    own = [FOREIGN[word]] if FOREIGN.get(word) in choices else []
    distance = {choice: edit_distance(word.lower(), choice.lower()) for choice in choices}
    least = min(distance.values(), default=99)
    if least <= (1 if own else max(1, len(word) // 4)):
        return list(dict.fromkeys([*own, *(choice for choice in choices if distance[choice] == least)]))
    return own or difflib.get_close_matches(word, choices, 1, cutoff=0.65)


def meant(words: Iterable[str]) -> str:
    """Ask whether one of these words was meant; "" for none."""
    return f"did you mean {' or '.join(map(repr, words))}?" if words else ""


def unknown(kind: str, word: str, choices: Sequence[str]) -> str:
    """Say that a word is not known, with the nearest one, else with all of them."""
    if near := nearest(str(word), choices):
        return f"unknown {kind}; {meant(near)}"
    return f"unknown {kind}; there is {', '.join(choices)}" if choices else f"unknown {kind}; none is taken here"


def printable(text: str) -> str:
    """Escape what would act on a terminal instead of being seen: control characters, directions of writing, lone surrogates.

    Line breaks and tabs stay.
    """
    return "".join(c if c.isprintable() or c in "\n\t" or unicodedata.category(c) == "Zs" else _escaped(c) for c in text)


def one_line(text: str) -> str:
    """Escape as `printable` does, and line breaks and tabs too: a name within a line or a table."""
    return "".join(c if c.isprintable() else _escaped(c) for c in printable(text))


def _escaped(character: str) -> str:
    code = ord(character)
    return f"\\x{code:02x}" if code < 256 else f"\\u{code:04x}" if code < 65536 else f"\\U{code:08x}"


def shown(value: Any) -> str:
    """Write a value as YAML would have it, cut short where it is long."""
    text = _flow(value)
    return text if len(text) <= 80 else text[:77] + "..."


def _flow(value: Any) -> str:
    if isinstance(value, dict):
        return "{" + ", ".join(f"{key}: {_flow(inner)}" for key, inner in value.items()) + "}"
    if isinstance(value, list):
        return "[" + ", ".join(map(_flow, value)) + "]"
    return {True: "true", False: "false"}[value] if isinstance(value, bool) else "null" if value is None else repr(value)


def brief(value: float, decimals: int | None = None) -> str:
    """Write a number in few digits, four of them significant; neither a large nor a small one loses itself.

    With `decimals` so many stand after the point wherever they show anything.
    """
    if decimals is not None and (not value or abs(value) >= 10 ** (1 - decimals) or not math.isfinite(value)):
        return f"{value:.{decimals}f}"
    short = f"{value:.4g}"
    return f"{value:.0f}" if "e+" in short and abs(value) < 1e15 else short


def with_article(noun: str) -> str:
    """Put `a` or `an` before a noun."""
    return f"{'an' if noun[0] in 'aeiou' else 'a'} {noun}"
