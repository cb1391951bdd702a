"""An experiment's values, each of which remembers where it was written; reading, setting and removing them by path."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dlx.config.sections import has_short_form
from dlx.errors import ComponentError, ConfigError, Fault, Path, UsageError, dotted, shown, unknown

MISSING = object()


@dataclass
class Spec:
    """An experiment as it was written: its values and the place of every one of them."""

    values: dict[str, Any]
    places: dict[Path, str] = field(default_factory=dict)
    file: str = ""
    told: list[tuple[str, str]] = field(default_factory=list)  # faults of the YAML itself, with their places
    typed: set[Path] = field(default_factory=set)  # keys given on the command line
    plugins: list[str] | None = None  # of a config kept by a training: the plugin files it was given, as far as is known

    def place(self, path: Path) -> str:
        """Name where the nearest written ancestor of a key stands: FILE:LINE:COLUMN or an override."""
        for end in range(len(path), -1, -1):
            if place := self.places.get(path[:end]):
                return place
        return self.file

    def is_typed(self, path: Path) -> bool:
        """Return whether a key, or what holds it, was given on the command line."""
        return any(path[:end] in self.typed for end in range(1, len(path) + 1))

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Have faults found inside told with the places where their keys were written: raises SpecError."""
        try:
            yield
        except ConfigError as error:
            raise SpecError(self.describe(error)) from None
        except ComponentError as error:
            raise SpecError(self.describe(ConfigError([Fault(error.path, error.message)]))) from None

    def describe(self, error: ConfigError) -> str:
        """Write one line a fault, in the order of the file."""
        lines = [(self.place(f.path), f"{dotted(f.path)}: {f.message}" if f.path else f.message) for f in error.faults]
        lines = list(dict.fromkeys([*self.told, *lines]))
        width = max((len(place) for place, _ in lines), default=0)
        return "\n".join(f"{place:<{width}} {text}".strip() for place, text in sorted(lines, key=lambda l: _order(l[0])))


def _order(place: str) -> tuple[str, int, int]:
    match = re.fullmatch(r"(.*):(\d+):(\d+)", place)
    return (match[1], int(match[2]), int(match[3])) if match else (place, 0, 0)


class SpecError(UsageError):
    """A config's faults, already written out with their places."""


def look_up(values: Any, path: Path) -> Any:
    """Find what stands at a path, or MISSING."""
    for key in path:
        if not _holds(values, key):
            return MISSING
        values = values[key]
    return values


def _holds(values: Any, key: str | int) -> bool:
    if isinstance(values, list):
        return isinstance(key, int) and key < len(values)
    return isinstance(values, dict) and key in values


def place_value(spec: Spec, path: Path, value: Any, place: str) -> None:
    """Put a value at a path, and note that it was written at `place`; raises SpecError."""
    inside: Any = spec.values
    for depth, key in enumerate(path[:-1]):
        here = path[: depth + 1]
        _require_place(inside, here, place)
        following = look_up(inside, (key,))
        if following is MISSING or following is None:
            following = [] if path[depth + 1] == 0 else {}
            _put(inside, key, following)
            spec.places[here] = place
        elif isinstance(following, str) and has_short_form(here):
            following = inside[key] = {"name": following}  # the short form `optimizer: adam` opens up
        if not isinstance(following, (dict, list)):
            raise SpecError(f"{place} '{dotted(here)}' is {shown(following)} and has no keys")
        inside = following
    _require_place(inside, path, place)
    _put(inside, path[-1], value)
    _forget(spec, path)
    spec.places[path] = place


def _put(inside: Any, key: str | int, value: Any) -> None:
    if isinstance(inside, list) and key == len(inside):
        inside.append(value)
    else:
        inside[key] = value


def _require_place(inside: Any, path: Path, place: str) -> None:
    """Refuse an index into a mapping, a key into a list, and an index beyond a list's end."""
    key, above = path[-1], dotted(path[:-1])
    if isinstance(inside, list) and not (isinstance(key, int) and key <= len(inside)):
        raise SpecError(f"{place} '{above}' is a list of {len(inside)}; write an index from 0, such as {above}[0]")
    if isinstance(inside, dict) and isinstance(key, int):
        raise SpecError(f"{place} '{above}' is no list; write a key, such as {above}.{next(iter(inside), 'name')}")


def remove(spec: Spec, path: Path, place: str) -> None:
    """Take a key or an item away; raises SpecError, which names `place`."""
    if look_up(spec.values, path) is MISSING:
        raise SpecError(f"{place} {_absent(spec.values, path)}")
    inside = look_up(spec.values, path[:-1])
    _forget(spec, path)
    del inside[path[-1]]
    if isinstance(inside, list):
        spec.places = {_moved_up(p, path): place for p, place in spec.places.items()}


def _absent(values: Any, path: Path) -> str:
    for depth, key in enumerate(path):
        inside = look_up(values, path[:depth])
        if isinstance(inside, dict) and key not in inside:
            return f"{dotted(path[: depth + 1])}: {unknown('key', str(key), [str(k) for k in inside])}"
    return f"'{dotted(path)}' is not in the config"


def _moved_up(path: Path, removed: Path) -> Path:
    """Give an item's path after the removal of another one from its list."""
    end = len(removed)
    place, gone = (path[end - 1] if len(path) >= end else -1), removed[-1]
    if path[: end - 1] != removed[:-1] or not isinstance(place, int) or not isinstance(gone, int) or place < gone:
        return path
    return (*path[: end - 1], place - 1, *path[end:])


def _forget(spec: Spec, path: Path) -> None:
    spec.places = {p: place for p, place in spec.places.items() if p[: len(path)] != path}
