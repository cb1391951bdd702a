"""A spec to a plan: every name and value held against the registries, every fault collected."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from dlx import registry
from dlx.config.values import Spec, SpecError
from dlx.engine.device import Device
from dlx.engine.trainer import Trainer
from dlx.errors import ConfigError, Fault, Misfit, Path, limited, meant, nearest, unknown, with_article
from dlx.optimizers import groups
from dlx.registry import Registry
from dlx.registry.signatures import Signature, check, markers, signature
from dlx.registry.types import Request
from dlx.schedules import curves

OPTIONS = {"optimizer": signature(groups.options), "schedule": signature(curves.options)}
LISTED = {"model": "list-models", "data set": "list-datasets", "task": "list-tasks"}
MOST_NAMED = 40  # names that one message lists
NO_OPTIONS = Signature({}, {})
DEVICE, TRAINER = signature(Device), signature(Trainer)


@dataclass(frozen=True)
class Component:
    """A name of a registry with its checked choices, and where in the config it stands."""

    registry: Registry
    name: str
    choices: Mapping[str, Any]
    path: Path

    def build(self, facts: Mapping[str, Any], source: str = "the data") -> Any:
        """Construct it; a Misfit is told at its place."""
        with at(self.path):
            own = {k: v for k, v in self.choices.items() if k in self.registry.signatures[self.name].choices}
            return self.registry.build(self.name, own, facts, source)

    def plain(self) -> dict[str, Any]:
        """Write it the long way, with every default."""
        return {"name": self.name, **self.choices}


class at:
    """Turns a Misfit raised inside into a ConfigError at the section's path."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def __enter__(self) -> None:
        pass

    def __exit__(self, kind: Any, error: BaseException | None, trace: Any) -> None:
        if isinstance(error, Misfit):
            raise ConfigError([Fault((*self.path, *error.path), error.message)]) from None


@dataclass(frozen=True)
class Plan:
    """A spec whose every name and value is checked; nothing is built yet."""

    spec: Spec
    sections: dict[str, Any]  # Components, dicts of Components by part, lists of Components, plain values

    def __getitem__(self, section: str) -> Any:
        return self.sections[section]

    def resolved(self) -> dict[str, Any]:
        """Write the whole experiment as plain values, with all defaults, ready for YAML."""
        return {key: _plain(value) for key, value in self.sections.items() if value is not None}

    def requests(self) -> Iterator[tuple[Path, str, Any]]:
        """Yield what the data and the metrics ask of the machine: the key, what to do, and the value, such as a path."""
        for component in (self["data"], *self["metrics"]):
            wanted = component.registry.signatures[component.name].choices
            for name, value in component.choices.items():
                for marker in markers(wanted[name].annotation):
                    if isinstance(marker, Request) and (value is True or isinstance(value, str)):
                        yield (*component.path, name), marker.asks_to, value


def _plain(value: Any) -> Any:
    if isinstance(value, Component):
        return _plain(value.plain())
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


class Planner:
    """Holds a spec against the registries, and collects every fault on the way."""

    def __init__(self, spec: Spec, needs_files: bool) -> None:
        self.values, self.plugins, self.needs_files = spec.values, spec.plugins, needs_files
        self.faults: list[Fault] = []

    def component(self, kind: Registry, value: Any, path: Path, options: Signature = NO_OPTIONS) -> Component | None:
        """Check one component, written as a name or as a mapping with a name."""
        given = {"name": value} if isinstance(value, str) else value
        if not isinstance(given, dict) or not isinstance(given.get("name"), str):
            self._nameless(kind, given, path, options)
            return None
        choices = {k: v for k, v in given.items() if k != "name"}
        name_path = (*path, "name") if isinstance(value, dict) else path
        if given["name"] not in kind:
            self.faults.append(Fault(name_path, f"'{given['name']}': {_unknown(kind, given['name'], self.plugins)}"))
            return None
        wanted = kind.signatures[given["name"]]
        both = Signature(wanted.facts, {**wanted.choices, **options.choices})
        checked, faults = check(both, choices, path)
        self.faults += [_with_name(f, path, both) for f in faults if self.needs_files or not f.absent_file]
        return Component(kind, given["name"], checked, path)

    def _nameless(self, kind: Registry, given: Any, path: Path, options: Signature) -> None:
        """Tell that a component has no name, and which of its keys nothing of its kind takes."""
        if isinstance(given, dict):
            keys = list(dict.fromkeys(key for name in kind.names() for key in kind.signatures[name].choices))
            known = ["name", *keys, *options.choices]
            strange = [key for key in given if key not in known]
            self.faults += limited(path, (Fault((*path, key), _stray(kind, key, known)) for key in strange), len(strange))
        here = (*path, "name") if isinstance(given, dict) and "name" in given else path
        self.faults.append(Fault(here, f"wants the name of {with_article(kind.kind)}: {', '.join(kind.names())}"))

    def parts(self, kind: Registry, section: str, default: Any) -> dict[str, Component | None]:
        """Check a section that is one component, or one for each part of the model."""
        value = self.values.get(section, default)
        if isinstance(value, str) or not value or any(self._is_key(kind, section, key) for key in value):
            return {"": self.component(kind, value, (section,), OPTIONS[section])}
        return {part: self.component(kind, v, (section, part), OPTIONS[section]) for part, v in value.items()}

    def _is_key(self, kind: Registry, section: str, key: str) -> bool:
        """Tell whether a key of an optimizer's or schedule's section is a setting, if misspelt, and no part of a model."""
        value = self.values[section][key]
        is_component = isinstance(value, dict) or value in kind
        return not is_component or key in ("name", *OPTIONS[section].choices) or nearest(key, ["name"]) == ["name"]

    def components(self, kind: Registry, section: str, default: list[str] | None) -> list[Component | None] | None:
        """Check a list of components; None stays None."""
        values = self.values.get(section, default)
        if values is None:
            return None
        found = [self.component(kind, v, (section, i)) for i, v in enumerate(values)]
        first: dict[str, int] = {}
        for i, one in enumerate(found):
            if one and first.setdefault(repr(one.plain()), i) != i:
                same = f"{section}[{first[repr(one.plain())]}]"
                self.faults.append(Fault(one.path, f"'{one.name}' stands twice with the same settings, first as {same}"))
        return found

    def settings(self, section: str, wanted: Signature) -> dict[str, Any]:
        """Check a section without a name, such as `trainer`."""
        value = self.values.get(section, {})
        checked, faults = check(wanted, {"name": value} if isinstance(value, str) else value, (section,))
        self.faults += faults
        return checked


def _unknown(kind: Registry, name: str, plugins: list[str] | None) -> str:
    """Say that no component has a name, and what may be meant: a near one, one of the user's own, or where all are listed."""
    if plugins is not None:  # it was known when the training began
        files = " ".join(f"--plugin {file}" for file in plugins or ["FILE"])
        return f"unknown {kind.kind}; was it trained with {files}? Give that here too"
    if nearest(name, kind.names()) or len(kind.names()) <= MOST_NAMED:
        return unknown(kind.kind, name, kind.names())
    return f"unknown {kind.kind}; dlx {LISTED[kind.kind]} names all there are, and --plugin FILE brings one of your own"


def _stray(kind: Registry, key: str, known: list[str]) -> str:
    if key in kind:
        return f"unknown key; write {{name: {key}, ...}}"
    return f"unknown key; {meant(nearest(key, known)) or f'no {kind.kind} takes it'}"


def _with_name(fault: Fault, path: Path, wanted: Signature) -> Fault:
    """Let `name` be suggested where a key of the section is unknown."""
    if len(fault.path) == len(path) + 1 and fault.message.startswith("unknown key"):
        return Fault(fault.path, unknown("key", str(fault.path[-1]), ["name", *wanted.choices]))
    return fault


def plan(spec: Spec, inference: bool = False) -> Plan:
    """Check a spec against the registries; raises SpecError with every fault found.

    For inference only the task, the model and the device matter, and data files need not be there.
    """
    drafted, faults = draft(spec, inference)
    if faults:
        raise SpecError(spec.describe(ConfigError(faults)))
    return drafted


def draft(spec: Spec, inference: bool = False, needs_files: bool = True) -> tuple[Plan, list[Fault]]:
    """Check a spec against the registries: the plan as far as it goes, and the faults.

    Where not all files are needed, one that is not there is told by what comes to read it.
    """
    planner, values = Planner(spec, needs_files), spec.values
    sections: dict[str, Any] = {"name": values.get("name"), "seed": values.get("seed", 0)}
    sections |= {"epochs": values.get("epochs"), "steps": values.get("steps")}
    sections["device"] = planner.settings("device", DEVICE)
    sections["task"] = planner.component(registry.tasks, values["task"], ("task",))
    sections["model"] = planner.component(registry.models, values["model"], ("model",))
    if not inference:
        sections["data"] = planner.component(registry.sources, values["data"], ("data",))
        sections["optimizer"] = planner.parts(registry.optimizers, "optimizer", "adam")
        sections["schedule"] = planner.parts(registry.schedules, "schedule", "constant")
        sections["trainer"] = planner.settings("trainer", TRAINER)
        sections["metrics"] = planner.components(registry.metrics, "metrics", None)
        sections["loggers"] = planner.components(registry.loggers, "loggers", [])
        if sections["epochs"] is None and sections["steps"] is None:
            planner.faults.append(Fault((), "epochs: is missing: say how long to train, in epochs or in steps"))
        _check_loggers(planner, sections["loggers"])
        _check_groups(planner, sections["optimizer"])
        _check_parts(planner, sections)
    if not inference and sections["metrics"] is None and sections["task"]:
        default = registry.tasks.get(sections["task"].name).default_metrics  # type: ignore[attr-defined]
        sections["metrics"] = [planner.component(registry.metrics, name, ("metrics",)) for name in default]
    for section in ("optimizer", "schedule"):
        if list(sections.get(section, ())) == [""]:
            sections[section] = sections[section][""]
    return Plan(spec, sections), planner.faults


def _check_parts(planner: Planner, sections: Mapping[str, Any]) -> None:
    """Hold the parts that optimizers and schedules are given for against those that the task trains on their own."""
    if sections["task"] is None:
        return
    wanted: tuple[str, ...] = registry.tasks.get(sections["task"].name).parts  # type: ignore[attr-defined]
    for section in ("optimizer", "schedule"):
        given = [part for part in sections[section] if part]
        for part in given:
            if part not in wanted:
                hint = unknown("part", part, list(wanted)) if wanted else "unknown part; this task trains the model as a whole"
                planner.faults.append(Fault((section, part), hint))
        if given and (missing := [part for part in wanted if part not in given]):
            planner.faults.append(Fault((section,), f"gives nothing for the part '{missing[0]}'"))


def _check_loggers(planner: Planner, loggers: Iterable[Component | None]) -> None:
    for component in filter(None, loggers):
        if registry.loggers.get(component.name).always:  # type: ignore[attr-defined]
            planner.faults.append(Fault(component.path, f"every run has the logger '{component.name}' already; leave it out"))


def _check_groups(planner: Planner, optimizers: Mapping[str, Component | None]) -> None:
    for component in filter(None, optimizers.values()):
        wanted = component.registry.signatures[component.name].choices
        given = component.choices.get("groups", {})
        for pattern, settings in given.items() if isinstance(given, dict) else ():
            if not isinstance(settings, dict):
                continue  # told already
            optional = {n: type(p)(n, p.annotation, None) for n, p in wanted.items()}
            _, faults = check(Signature({}, optional), settings, (*component.path, "groups", pattern))
            planner.faults += faults
