"""A config file and its overrides, read into plain values that remember where each was written; no torch."""

from __future__ import annotations

import copy
import json
import os
import re
from collections.abc import Mapping
from pathlib import Path as FilePath
from typing import Any

from dlx.config import yaml_reader
from dlx.config.sections import SECTIONS, has_short_form, structure
from dlx.config.values import MISSING, Spec, SpecError, look_up, place_value, remove
from dlx.errors import ConfigError, Path, dotted, shown

MAX_EXTENDED = 20


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


def given(config: Mapping[str, Any], overrides: list[str] | None = None) -> Spec:
    """Take a config as a mapping of its sections, as a file would hold them; its faults name keys without places."""
    values, _ = yaml_reader.parse(yaml_reader.dump(json.loads(json.dumps(dict(config), default=os.fspath))), "the config")
    return finish(Spec(_mapping(values, "the config:")), overrides)


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
    with spec.telling():
        if faults or spec.told:
            raise ConfigError(faults)
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
    replaced: set[Path] = set()
    _merge(merged, merged.values, child, child.values, (), replaced)
    kept = {p: place for p, place in merged.places.items() if not _within(p, replaced)}
    merged.places = kept | {p: place for p, place in child.places.items() if _within(p, replaced)}
    merged.places[()] = child.place(())
    return merged


def _merge(merged: Spec, inside: dict[str, Any], child: Spec, values: dict[str, Any], path: Path, replaced: set[Path]) -> None:
    """Lay values over those inside a mapping, and note the paths where all below is the child's."""
    for key, value in values.items():
        here, old = (*path, key), inside.get(key)
        if isinstance(value, dict) and isinstance(old, str) and has_short_form(here) and value.get("name", old) == old:
            # `task: x` below, `task: {more: 1}` here: the same component, written long
            old = inside[key] = {"name": old}
            merged.places[(*here, "name")] = merged.place(here)
        if isinstance(old, dict) and isinstance(value, dict) and value.get("name", old.get("name")) == old.get("name"):
            if here in child.places:
                merged.places[here] = child.places[here]
            _merge(merged, old, child, value, here, replaced)
        else:
            inside[key] = copy.deepcopy(value)
            replaced.add(here)


def _within(path: Path, roots: set[Path]) -> bool:
    return any(path[:end] in roots for end in range(1, len(path) + 1))


def override(spec: Spec, text: str) -> None:
    """Apply `a.b=1`, `a.list[0]=1`, `+new=1` or `~key`, with values typed as YAML."""
    place = f"{text.typed if isinstance(text, Typed) else 'override ' + shown(text)}:"
    match = re.fullmatch(r"(?P<sign>[+~]?)(?P<key>[^\W\d][^=\s]*)(?P<assign>=(?P<value>.*))?", text, re.DOTALL)
    if not match or (match["sign"] == "~") == bool(match["assign"]):
        raise SpecError(f"{place} write key=value, +new=value or ~key")
    path = _path(match["key"], place)
    if path[0] == "extends":
        raise SpecError(f"{place} what a config extends stands in its file")
    if match["sign"] == "~":
        remove(spec, path, place)
        return
    old = look_up(spec.values, path)
    if match["sign"] == "+" and isinstance(old, list):
        path = (*path, len(old))
    elif match["sign"] == "+" and old is not MISSING:
        raise SpecError(f"{place} '{dotted(path)}' is there already; write it without the +")
    try:
        value, _ = yaml_reader.parse(match["value"], place, path)
    except yaml_reader.YamlError as error:
        raise SpecError(str(error)) from None
    place_value(spec, path, value, place)
    spec.typed.add(path)


def _path(key: str, place: str) -> Path:
    parts = re.findall(r"\[(\d+)\]|([^.\[\]]+)", key)
    if not re.fullmatch(r"[^.\[\]]+(\.[^.\[\]]+|\[\d{1,6}\])*", key) or len(parts) > yaml_reader.MAX_DEPTH:
        raise SpecError(f"{place} '{key}' is no path; write one like model.layers[0].dense")
    return tuple(int(index) if index else word for index, word in parts)
