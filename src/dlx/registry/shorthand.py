"""How a list of a registry's components is written in a config, and what is wrong with one that is not written so.

An entry is a word (`flatten`), a word and its first setting (`dense: 64`), or a word and its settings
(`dense: {size: 64, activation: relu}`).
"""

from __future__ import annotations

import itertools
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from dlx.errors import MAX_TOLD, Fault, Marker, Path, unknown, with_article
from dlx.registry import Registry
from dlx.registry.signatures import REQUIRED, Parameter, adapter, check, markers


@dataclass(frozen=True)
class Written:
    """One entry as a config writes it; `short` names the setting that stands without its name."""

    name: str
    choices: Mapping[str, Any] = field(default_factory=dict)
    short: str = ""

    def place(self, path: Path, inner: Path = ()) -> Path:
        """Give the path of something within the entry: the short form has no key for its setting."""
        return (*path, self.name, *(inner[1:] if self.short and inner[:1] == (self.short,) else inner))


class Notation:
    """The way one registry's components are written; `foreign` has other tools' words, in lower case without underscores."""

    def __init__(self, kind: Registry, foreign: Mapping[str, str]) -> None:
        self.registry, self.foreign = kind, foreign

    def read(self, item: str | Mapping[str, Any]) -> Written:
        """Read one entry of a list; raises ComponentError on an unknown name."""
        name, value = (item, None) if isinstance(item, str) else next(iter(item.items()))
        self.registry.get(name)
        wanted = self.registry.signatures[name].choices
        if value is None:
            return Written(name)
        if not wanted or (
            isinstance(value, Mapping) and not (_holds_entry(wanted) and not any(key in wanted for key in value))
        ):
            return Written(name, value)
        first = next(iter(wanted))
        return Written(name, {first: value}, first)

    def check(self, item: Any, path: Path, among: tuple[str, ...] = ()) -> list[Fault]:
        """Find what is wrong with one entry, without knowing the data."""
        kind, one = self.registry.kind, with_article(self.registry.kind)
        if isinstance(item, dict) and len(item) > 1:
            keys = [str(key) for key in item]
            told = f"wants one {kind}, but has the keys {', '.join(keys)}; indent the settings under '{keys[0]}'"
            return [Fault(path, told)]
        if not item or not isinstance(item, (str, dict)):
            return [Fault(path, f"wants {one}'s name or a mapping {{name: settings}}, not {item!r}")]
        name = item if isinstance(item, str) else next(iter(item))
        at = (*path, name)
        if name not in self.registry:
            return [Fault(at, self._unknown(str(name)))]
        if among and name not in among:
            return [Fault(at, f"wants one of {', '.join(among)}")]
        written = self.read(item)
        if not isinstance(written.choices, Mapping):
            return [Fault(at, f"takes no settings, not {written.choices!r}")]
        _, faults = check(self.registry.signatures[name], written.choices)
        return [Fault(written.place(path, fault.path), fault.message) for fault in faults]

    def _unknown(self, name: str) -> str:
        known = self.foreign.get(name.lower().replace("_", ""))
        if known:
            return f"unknown {self.registry.kind}; did you mean '{known}'?"
        return unknown(self.registry.kind, name, self.registry.names())

    def definitions(self) -> dict[str, dict[str, Any]]:
        """Give the schemas of an entry and of a list of them, made from the signatures."""
        kind = self.registry.kind
        many = {"type": "array", "minItems": 1, "items": {"$ref": f"#/$defs/{kind}"}}
        return {f"{kind}s": many, kind: self._entry_schema()}

    def _entry_schema(self) -> dict[str, Any]:
        wanted = {name: self.registry.signatures[name].choices for name in self.registry.names()}
        bare = [name for name, choices in wanted.items() if all(p.default is not REQUIRED for p in choices.values())]
        settings = {
            name: _settings_schema(choices) | {"description": self.registry.summary(name)} for name, choices in wanted.items()
        }
        long = {
            "type": "object", "properties": settings, "additionalProperties": False, "minProperties": 1, "maxProperties": 1
        }  # fmt: skip
        return {"anyOf": [{"enum": bare}, long]}


class ListOf(Marker):
    """Marks a choice that is a list of a registry's components."""

    def __init__(self, notation: Notation) -> None:
        self.notation, self.kind = notation, notation.registry.kind

    def check(self, value: list[Any], path: Path) -> tuple[list[Any], list[Fault]]:
        """Find every fault of a list at its exact path; the list comes back as it was written."""
        if not value:
            return value, [Fault(path, f"wants at least one {self.kind}")]
        faults = (fault for i, item in enumerate(value) for fault in self.notation.check(item, (*path, i)))
        told = list(itertools.islice(faults, MAX_TOLD))
        return value, [*told, *(Fault(path, "and more of this kind") for _ in itertools.islice(faults, 1))]

    def describe(self) -> str:
        """Say what is wanted."""
        return f"list of {self.kind}s"

    def json_schema(self) -> dict[str, Any]:
        """Refer to the schema that `definitions` holds."""
        return {"$ref": f"#/$defs/{self.kind}s"}

    def definitions(self) -> dict[str, dict[str, Any]]:
        """Give the schemas that `json_schema` refers to."""
        return self.notation.definitions()


class OneOf(Marker):
    """Marks a choice that is a single component, one of those named."""

    def __init__(self, notation: Notation, among: tuple[str, ...]) -> None:
        self.notation, self.among, self.kind = notation, among, notation.registry.kind

    def check(self, value: Any, path: Path) -> tuple[Any, list[Fault]]:
        """Find every fault of the entry at its exact path."""
        return value, self.notation.check(value, path, self.among)

    def describe(self) -> str:
        """Say what is wanted."""
        return f"{with_article(self.kind)}: {', '.join(self.among)}"

    def json_schema(self) -> dict[str, Any]:
        """Allow the named ones only."""
        return {"allOf": [{"$ref": f"#/$defs/{self.kind}"}], "propertyNames": {"enum": [*self.among]}}

    def definitions(self) -> dict[str, dict[str, Any]]:
        """Give the schemas that `json_schema` refers to."""
        return self.notation.definitions()


def _holds_entry(wanted: Mapping[str, Parameter]) -> bool:
    return any(isinstance(marker, OneOf) for marker in markers(next(iter(wanted.values())).annotation))


def _settings_schema(wanted: Mapping[str, Parameter]) -> dict[str, Any]:
    properties = {name: _choice_schema(parameter) for name, parameter in wanted.items()}
    required = [name for name, parameter in wanted.items() if parameter.default is REQUIRED]
    options: list[dict[str, Any]] = [{"type": "object", "properties": properties, "additionalProperties": False}]
    if required:
        options[0]["required"] = required
    else:
        options.append({"type": "null"})
    first = next(iter(wanted), "")
    if first and not set(required) - {first}:
        options.insert(0, properties[first])
    return {"anyOf": options}


def _choice_schema(parameter: Parameter) -> dict[str, Any]:
    hooked = filter(None, (marker.json_schema() for marker in markers(parameter.annotation)))
    schema = next(hooked, None) or adapter(parameter.annotation).json_schema()
    return schema if parameter.default is REQUIRED else {**schema, "default": parameter.default}
