"""A config file and its overrides, read into plain values that remember where each was written; no torch."""

from __future__ import annotations

import copy
import os
import re
from dataclasses import dataclass, field
from pathlib import Path as FilePath
from typing import Any

from dlx import yaml_reader
from dlx.errors import ConfigError, Fault, Path, UsageError, dotted, nearest, shown, unknown

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
MOST = {"epochs": 10**12, "steps": 10**12, "seed": 2**32 - 1}  # scikit-learn takes no larger seed
MAX_EXTENDED = 20
# Keys that are often written at the top, and the section each belongs in.
INNER = {
    key: section
    for section, keys in {
        "optimizer": "lr learning_rate weight_decay momentum",
        "data": "batch_size num_workers",
        "model": "layers hidden",
        "task": "loss label_smoothing class_weights",
        "schedule": "warmup",
        "trainer": "accumulate clip_norm ema evaluate_every save_every log_every monitor early_stopping keep",
        "device": "precision threads memory_format deterministic",
    }.items()
    for key in keys.split()
}


@dataclass
class Spec:
    """An experiment as it was written: its values and the place of every one of them."""

    values: dict[str, Any]
    places: dict[Path, str] = field(default_factory=dict)
    file: str = ""
    told: list[tuple[str, str]] = field(default_factory=list)  # faults of the YAML itself, with their places

    def place(self, path: Path) -> str:
        """Name where the nearest written ancestor of a key stands: FILE:LINE:COLUMN or an override."""
        for end in range(len(path), -1, -1):
            if place := self.places.get(path[:end]):
                return place
        return self.file

    def describe(self, error: ConfigError) -> str:
        """Write one line a fault, in the order of the file."""
        lines = [(self.place(f.path), f"{dotted(f.path)}: {f.message}" if f.path else f.message) for f in error.faults]
        lines = list(dict.fromkeys([*self.told, *lines]))
        width = max((len(place) for place, _ in lines), default=0)
        return "\n".join(f"{place:<{width}} {text}".strip() for place, text in sorted(lines, key=lambda l: _order(l[0])))


def _order(place: str) -> tuple:
    match = re.fullmatch(r"(.*):(\d+):(\d+)", place)
    return (match[1], int(match[2]), int(match[3])) if match else (place, 0, 0)


class SpecError(UsageError):
    """A config's faults, already written out with their places."""


class Typed(str):
    """An override that was typed in a form of its own, such as `--device cpu`, which its faults name."""

    typed: str

    def __new__(cls, override: str, typed: str) -> Typed:
        """Keep the override together with what was typed for it."""
        made = super().__new__(cls, override)
        made.typed = typed
        return made


def load(file: str | FilePath, overrides: list[str] | None = None) -> Spec:
    """Read a config, what it extends, and the overrides, and check its structure.

    Raises SpecError with every structural fault of the file.
    """
    return finish(read(FilePath(file)), overrides)


def parse(text: str, file: str, overrides: list[str] | None = None) -> Spec:
    """Read a resolved config that was kept as text; faults name `file`."""
    try:
        values, places = yaml_reader.parse(text, file)
    except yaml_reader.YamlError as error:
        raise SpecError(str(error)) from None
    return finish(Spec(_mapping(values, file), places, file), overrides)


def finish(spec: Spec, overrides: list[str] | None) -> Spec:
    """Apply overrides and check the structure."""
    for text in overrides or []:
        try:
            override(spec, text)
        except SpecError as error:
            spec.told.append(("", str(error)))
    faults = structure(spec.values)
    if spec.told:  # a value that could not be read is null: what is wrong with it is told already
        faults = [f for f in faults if spec.values.get(str(f.path[0]), "") is not None]
    if faults or spec.told:
        raise SpecError(spec.describe(ConfigError(faults)))
    return spec


def read(file: FilePath, children: tuple[str, ...] = (), place: str = "") -> Spec:
    """Read one file, merged over the one it extends; `place` is where another one says so."""
    real = os.path.realpath(file)
    names = [os.path.basename(child) for child in (*children, str(file))]
    if real in children or len(names) > MAX_EXTENDED:
        raise SpecError(f"{place}the file extends itself: {' -> '.join(names[:4])}{' ...' if len(names) > 4 else ''}")
    try:
        (values, places), told = yaml_reader.read(file), []
    except yaml_reader.YamlError as error:
        if error.rest is None:
            raise SpecError(f"{place}{error}") from None
        (values, places), told = error.rest, error.faults
    spec = Spec(_mapping(values, f"{file}:1:1"), places, str(file), told)
    if "extends" not in spec.values:
        return spec
    base = spec.values.pop("extends")
    here = f"{spec.place(('extends',))} extends: "
    if not isinstance(base, str) or not base or "\0" in base:
        raise SpecError(f"{here}wants a file name, not {shown(base)}")
    return merge(read(file.parent / os.path.expanduser(base), (*children, real), here), spec)


def _mapping(values: Any, place: str) -> dict[str, Any]:
    if not isinstance(values, dict):
        raise SpecError(f"{place} an experiment is a mapping of sections: {', '.join(SECTIONS)}")
    return values


def merge(base: Spec, child: Spec) -> Spec:
    """Lay a config over the one it extends: mappings merge, all else replaces, another name starts afresh."""
    merged = Spec(copy.deepcopy(base.values), dict(base.places), child.file, [*base.told, *child.told])
    merged.places[()] = child.place(())
    _merge(merged, child, child.values, ())
    return merged


def _merge(merged: Spec, child: Spec, values: dict[str, Any], path: Path) -> None:
    for key, value in values.items():
        here = (*path, key)
        old = _get(merged.values, here)
        if isinstance(value, dict) and isinstance(old, str) and _has_short_form(here) and value.get("name", old) == old:
            # `task: x` below, `task: {more: 1}` here: the same component, written long
            old, place = {"name": old}, merged.place(here)
            _set(merged, here, old, place)
            merged.places[(*here, "name")] = place
        if isinstance(old, dict) and isinstance(value, dict) and value.get("name", old.get("name")) == old.get("name"):
            if here in child.places:
                merged.places[here] = child.places[here]
            _merge(merged, child, value, here)
        else:
            _set(merged, here, copy.deepcopy(value), "")
            merged.places |= {p: place for p, place in child.places.items() if p[: len(here)] == here}


def _has_short_form(path: Path) -> bool:
    """Tell whether a component may stand here by its name alone."""
    if len(path) == 1:
        return SECTIONS.get(str(path[0])) == (str, dict)
    in_list = path[0] in ("metrics", "loggers") and isinstance(path[1], int)
    return len(path) == 2 and (in_list or (path[0] in ("optimizer", "schedule") and path[1] != "name"))


def override(spec: Spec, text: str) -> None:
    """Apply `a.b=1`, `a.list[0]=1`, `+new=1` or `~key`, with values typed as YAML."""
    place = f"{getattr(text, 'typed', '') or 'override ' + shown(text)}:"
    match = re.fullmatch(r"(?P<sign>[+~]?)(?P<key>[^\W\d][^=\s]*)(?P<assign>=(?P<value>.*))?", text, re.DOTALL)
    if not match or (match["sign"] == "~") == bool(match["assign"]):
        raise SpecError(f"{place} write key=value, +new=value or ~key")
    path = _path(match["key"], place)
    if path[0] == "extends":
        raise SpecError(f"{place} what a config extends stands in its file")
    if match["sign"] == "~":
        _remove(spec, path, place)
        return
    old = _get(spec.values, path)
    if match["sign"] == "+" and isinstance(old, list):
        path = (*path, len(old))
    elif match["sign"] == "+" and old is not _MISSING:
        raise SpecError(f"{place} '{dotted(path)}' is there already; write it without the +")
    try:
        value, _ = yaml_reader.parse(match["value"], place, path)
    except yaml_reader.YamlError as error:
        raise SpecError(str(error)) from None
    _set(spec, path, value, place)


def structure(values: dict[str, Any]) -> list[Fault]:
    """Find unknown sections, missing ones, and sections of the wrong kind."""
    faults = []
    for key, value in values.items():
        if key not in SECTIONS:
            faults.append(Fault((key,), _unknown_section(key)))
        elif not isinstance(value, SECTIONS[key]) or isinstance(value, bool):
            wanted = " or ".join(WORDS[kind] for kind in SECTIONS[key])
            faults.append(Fault((key,), f"wants {wanted}, not {shown(value)}"))
    faults += [Fault((key,), "is missing: every experiment names it") for key in REQUIRED if key not in values]
    if {"epochs", "steps"} <= set(values):
        faults.append(Fault(("steps",), "give epochs or steps, not both"))
    faults += [
        Fault((key,), f"wants a number from 0 to {most:,}, not {shown(values[key])}")
        for key, most in MOST.items()
        if type(values.get(key)) is int and not 0 <= values[key] <= most
    ]
    if isinstance(name := values.get("name"), str) and not (re.fullmatch(r"[\w.-]*\w[\w.-]*", name) and len(name) <= 100):
        rule = "a run's name has letters, digits, '-', '_' and '.', at most 100 in all"
        faults.append(Fault(("name",), f"{rule}, not {shown(name)}"))
    return faults


def _unknown_section(key: str) -> str:
    if key in INNER and not nearest(key, SECTIONS):
        return f"unknown section; did you mean '{INNER[key]}.{'lr' if key == 'learning_rate' else key}'?"
    return unknown("section", key, [*SECTIONS, "extends"])


_MISSING = object()


def _path(key: str, place: str) -> Path:
    parts = re.findall(r"\[(\d+)\]|([^.\[\]]+)", key)
    if not re.fullmatch(r"[^.\[\]]+(\.[^.\[\]]+|\[\d{1,6}\])*", key) or len(parts) > yaml_reader.MAX_DEPTH:
        raise SpecError(f"{place} '{key}' is no path; write one like model.layers[0].dense")
    return tuple(int(index) if index else word for index, word in parts)


def _get(values: Any, path: Path) -> Any:
    for key in path:
        if not _holds(values, key):
            return _MISSING
        values = values[key]
    return values


def _holds(values: Any, key: str | int) -> bool:
    if isinstance(values, list):
        return isinstance(key, int) and key < len(values)
    return isinstance(values, dict) and key in values


def _absent(values: Any, path: Path) -> str:
    for depth, key in enumerate(path):
        inside = _get(values, path[:depth])
        if isinstance(inside, dict) and key not in inside:
            return f"{dotted(path[: depth + 1])}: {unknown('key', str(key), [str(k) for k in inside])}"
    return f"'{dotted(path)}' is not in the config"


def _set(spec: Spec, path: Path, value: Any, place: str) -> None:
    inside: Any = spec.values
    for depth, key in enumerate(path[:-1]):
        here = path[: depth + 1]
        _require_place(inside, here, place)
        following = _get(inside, (key,))
        if following is _MISSING or following is None:
            following = [] if path[depth + 1] == 0 else {}
            _put(inside, key, following)
            spec.places[here] = place
        elif isinstance(following, str) and _has_short_form(here):
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


def _remove(spec: Spec, path: Path, place: str) -> None:
    if _get(spec.values, path) is _MISSING:
        raise SpecError(f"{place} {_absent(spec.values, path)}")
    inside = _get(spec.values, path[:-1])
    _forget(spec, path)
    del inside[path[-1]]
    if isinstance(inside, list):
        spec.places = {_moved_up(p, path): place for p, place in spec.places.items()}


def _moved_up(path: Path, removed: Path) -> Path:
    """Give an item's path after the removal of another one from its list."""
    end = len(removed)
    if len(path) < end or path[: end - 1] != removed[:-1] or path[end - 1] < removed[-1]:  # type: ignore[operator]
        return path
    return (*path[: end - 1], path[end - 1] - 1, *path[end:])  # type: ignore[operator]


def _forget(spec: Spec, path: Path) -> None:
    spec.places = {p: place for p, place in spec.places.items() if p[: len(path)] != path}
