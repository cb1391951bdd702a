"""A config file and its overrides, read into plain values that remember where each was written; no torch."""

from __future__ import annotations

import copy
import re
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from dlx import yaml_reader
from dlx.errors import ConfigError, Fault, Path, UsageError, dotted, unknown

# Sections and what each may be written as. The components' own keys are checked against their signatures.
SECTIONS: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "seed": (int,),
    "epochs": (int,),
    "steps": (int,),
    "device": (str, dict),
    "task": (str, dict),
    "data": (str, dict),
    "model": (str, dict),
    "optimizer": (str, dict),
    "schedule": (str, dict),
    "metrics": (list,),
    "loggers": (list,),
    "trainer": (dict,),
}
REQUIRED = ("task", "data", "model")
WORDS = {str: "a name", int: "a whole number", dict: "a mapping", list: "a list"}


@dataclass
class Spec:
    """An experiment as it was written: its values and the place of every one of them."""

    values: dict[str, Any]
    places: dict[Path, str] = field(default_factory=dict)
    file: str = ""

    def place(self, path: Path) -> str:
        """Name where the nearest written ancestor of a key stands: FILE:LINE:COLUMN or an override."""
        for end in range(len(path), -1, -1):
            if place := self.places.get(path[:end]):
                return place
        return self.file

    def describe(self, error: ConfigError) -> str:
        """Write one line a fault, in the order of the file."""
        lines = [(self.place(f.path), f"{dotted(f.path)}: {f.message}" if f.path else f.message) for f in error.faults]
        lines = list(dict.fromkeys(lines))
        width = max((len(place) for place, _ in lines), default=0)
        return "\n".join(f"{place:<{width}} {text}".strip() for place, text in sorted(lines, key=lambda l: _order(l[0])))


def _order(place: str) -> tuple:
    match = re.fullmatch(r"(.*):(\d+):(\d+)", place)
    return (match[1], int(match[2]), int(match[3])) if match else (place, 0, 0)


class SpecError(UsageError):
    """A config's faults, already written out with their places."""


def load(file: str | FilePath, overrides: list[str] | None = None) -> Spec:
    """Read a config, what it extends, and the overrides, and check its structure.

    Raises SpecError with every structural fault of the file.
    """
    return finish(read(FilePath(file)), overrides)


def parse(text: str, file: str, overrides: list[str] | None = None) -> Spec:
    """Read a resolved config that was kept as text; faults name `file`."""
    values, places = yaml_reader.parse(text, file)
    return finish(Spec(values, places, file), overrides)


def finish(spec: Spec, overrides: list[str] | None) -> Spec:
    """Apply overrides and check the structure."""
    for text in overrides or []:
        override(spec, text)
    if faults := structure(spec.values):
        raise SpecError(spec.describe(ConfigError(faults)))
    return spec


def read(file: FilePath, children: tuple[FilePath, ...] = ()) -> Spec:
    """Read one file, merged over the one it extends."""
    if file.resolve() in children:
        raise SpecError(f"{file}: extends itself through {' -> '.join(c.name for c in children)}")
    try:
        values, places = yaml_reader.read(file)
    except yaml_reader.YamlError as error:
        raise SpecError(str(error)) from None
    if not isinstance(values, dict):
        raise SpecError(f"{file}:1:1 an experiment is a mapping of sections: {', '.join(SECTIONS)}")
    spec = Spec(values, places, str(file))
    base = values.pop("extends", None)
    if base is None:
        return spec
    if not isinstance(base, str):
        raise SpecError(f"{spec.place(('extends',))} extends: wants a file name, not {base!r}")
    parent = file.parent / base
    if not parent.is_file():
        raise SpecError(f"{spec.place(('extends',))} extends: no file {parent}")
    return merge(read(parent, (*children, file.resolve())), spec)


def merge(base: Spec, child: Spec) -> Spec:
    """Lay a config over the one it extends: mappings merge, all else replaces, another name starts afresh."""
    merged = Spec(copy.deepcopy(base.values), dict(base.places), child.file)
    _merge(merged, child, child.values, ())
    return merged


def _merge(merged: Spec, child: Spec, values: dict[str, Any], path: Path) -> None:
    for key, value in values.items():
        here = (*path, key)
        old = _get(merged.values, here)
        other = isinstance(old, str) and isinstance(value, dict) and value.get("name", old) == old
        if other:  # `task: x` below, `task: {more: 1}` here: the same component, written long
            _set(merged, here, {"name": old}, "")
            old = {"name": old}
        if isinstance(old, dict) and isinstance(value, dict) and value.get("name", old.get("name")) == old.get("name"):
            if here in child.places:
                merged.places[here] = child.places[here]
            _merge(merged, child, value, here)
        else:
            _set(merged, here, copy.deepcopy(value), "")
            merged.places |= {p: place for p, place in child.places.items() if p[: len(here)] == here}


def override(spec: Spec, text: str) -> None:
    """Apply `a.b=1`, `a.list[0]=1`, `+new=1` or `~key`, with values typed as YAML."""
    place = f"override '{text}':"
    match = re.fullmatch(r"(?P<sign>[+~]?)(?P<key>[A-Za-z_][^=\s]*)(?P<assign>=(?P<value>.*))?", text, re.DOTALL)
    if not match or (match["sign"] == "~") == bool(match["assign"]):
        raise SpecError(f"{place} write key=value, +new=value or ~key")
    path = _path(match["key"], place)
    sign, old = match["sign"], _get(spec.values, path)
    exists = old is not _MISSING
    if sign == "~":
        if not exists:
            raise SpecError(f"{place} {_absent(spec.values, path)}")
        return _remove(spec, path)
    try:
        value, _ = yaml_reader.parse(match["value"], place)
    except yaml_reader.YamlError as error:
        raise SpecError(str(error)) from None
    if sign == "+" and isinstance(old, list):
        path, exists = (*path, len(old)), False
    if sign == "+" and exists:
        raise SpecError(f"{place} '{dotted(path)}' is there already; write it without the +")
    _set(spec, path, value, place)


def structure(values: dict[str, Any]) -> list[Fault]:
    """Find unknown sections, missing ones, and sections of the wrong kind."""
    faults = []
    for key, value in values.items():
        if key not in SECTIONS:
            faults.append(Fault((key,), unknown("section", key, list(SECTIONS))))
        elif not isinstance(value, SECTIONS[key]) or isinstance(value, bool):
            wanted = " or ".join(WORDS[kind] for kind in SECTIONS[key])
            faults.append(Fault((key,), f"wants {wanted}, not {value!r}"))
    faults += [Fault((key,), "is missing: every experiment names it") for key in REQUIRED if key not in values]
    if {"epochs", "steps"} <= set(values):
        faults.append(Fault(("steps",), "give epochs or steps, not both"))
    faults += [
        Fault((key,), f"wants a number of at least 0, not {values[key]}")
        for key in ("epochs", "steps", "seed")
        if isinstance(values.get(key), int) and values[key] < 0
    ]
    if isinstance(name := values.get("name"), str) and not re.fullmatch(r"[\w.-]*\w[\w.-]*", name):
        faults.append(Fault(("name",), f"a run's name has letters, digits, '-', '_' and '.', not {name!r}"))
    return faults


_MISSING = object()


def _path(key: str, place: str) -> Path:
    parts = re.findall(r"[^.\[\]]+", key)
    if not re.fullmatch(r"[^.\[\]]+(\.[^.\[\]]+|\[\d+\])*", key):
        raise SpecError(f"{place} '{key}' is no path; write one like model.layers[0].dense")
    return tuple(int(part) if part.isdigit() else part for part in parts)


def _get(values: Any, path: Path) -> Any:
    for key in path:
        try:
            values = values[key]
        except (KeyError, IndexError, TypeError):
            return _MISSING
    return values


def _absent(values: Any, path: Path) -> str:
    for depth, key in enumerate(path):
        inside = _get(values, path[:depth])
        if isinstance(inside, dict) and key not in inside:
            return f"{dotted(path[: depth + 1])}: {unknown('key', str(key), [str(k) for k in inside])}"
    return f"'{dotted(path)}' is not in the config"


def _set(spec: Spec, path: Path, value: Any, place: str) -> None:
    inside: Any = spec.values
    for depth, key in enumerate(path[:-1]):
        following = _get(inside, (key,))
        if following is _MISSING or isinstance(inside, dict) and following is None:
            following = inside[key] = {}
        elif isinstance(following, str) and depth == 0 and SECTIONS.get(str(key)) == (str, dict):
            following = inside[key] = {"name": following}  # the short form `optimizer: adam` opens up
        if not isinstance(following, (dict, list)):
            raise SpecError(f"{place} '{dotted(path[: depth + 1])}' is {following!r} and has no keys")
        inside = following
    if isinstance(inside, list) and not (isinstance(path[-1], int) and path[-1] <= len(inside)):
        raise SpecError(f"{place} '{dotted(path[:-1])}' is a list of {len(inside)}; write its index, counted from 0")
    if isinstance(inside, list) and path[-1] == len(inside):
        inside.append(value)
    else:
        inside[path[-1]] = value
    _forget(spec, path)
    spec.places[path] = place


def _remove(spec: Spec, path: Path) -> None:
    inside = _get(spec.values, path[:-1])
    del inside[path[-1]]
    _forget(spec, path)


def _forget(spec: Spec, path: Path) -> None:
    spec.places = {p: place for p, place in spec.places.items() if p[: len(path)] != path}
