"""A spec to a plan: every name and value held against the registries, every fault collected."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace
from typing import Any

from dlx import registry
from dlx.assembly.plan import Component, LearnerPlan, Plan
from dlx.config.values import Spec
from dlx.core import Source
from dlx.engine.device import Device
from dlx.engine.options import TrainerOptions
from dlx.errors import ConfigError, Fault, Path, limited, meant, nearest, unknown, with_article
from dlx.optimizers import groups
from dlx.registry import Registry
from dlx.registry.signatures import Signature, check, signature
from dlx.schedules import curves

OPTIONS = {"optimizer": signature(groups.options), "schedule": signature(curves.options)}
LISTED = {"model": "list-models", "data set": "list-datasets", "task": "list-tasks"}
MOST_NAMED = 40  # names that one message lists
LEARNER = ("task", "model", "device", "seed")  # sections of what predicts
NO_OPTIONS = Signature({}, {})
DEVICE, TRAINER = signature(Device), signature(TrainerOptions)


class Planner:
    """Holds a spec against the registries, and collects every fault on the way."""

    def __init__(self, spec: Spec, needs_files: bool) -> None:
        self.spec, self.values, self.plugins, self.needs_files = spec, spec.values, spec.plugins, needs_files
        self.faults: list[Fault] = []

    def component(self, kind: Registry, value: Any, path: Path, options: Signature = NO_OPTIONS) -> Component:
        """Check one component, written as a name or as a mapping with a name."""
        given = {"name": value} if isinstance(value, str) else value
        if not isinstance(given, dict) or not isinstance(given.get("name"), str):
            self._nameless(kind, given, path, options)
            return Component(kind, "", {}, path)
        choices = {k: v for k, v in given.items() if k != "name"}
        name_path = (*path, "name") if isinstance(value, dict) else path
        if given["name"] not in kind:
            self.faults.append(Fault(name_path, f"'{given['name']}': {_unknown(kind, given['name'], self.plugins)}"))
            return Component(kind, "", {}, path)
        wanted = kind.signatures[given["name"]]
        both = Signature(wanted.facts, {**wanted.choices, **options.choices})
        checked, faults = check(both, choices, path)
        self.faults += [_with_name(f, path, both) for f in faults if self.needs_files or not f.absent_file]
        own = {key: value for key, value in checked.items() if key in wanted.choices}
        return Component(kind, given["name"], own, path, {k: v for k, v in checked.items() if k not in own})

    def _nameless(self, kind: Registry, given: Any, path: Path, options: Signature) -> None:
        """Tell that a component has no name, and which of its keys nothing of its kind takes."""
        if isinstance(given, dict):
            keys = list(dict.fromkeys(key for name in kind.names() for key in kind.signatures[name].choices))
            known = ["name", *keys, *options.choices]
            strange = [key for key in given if key not in known]
            self.faults += limited(path, (Fault((*path, key), _stray(kind, key, known)) for key in strange), len(strange))
        here = (*path, "name") if isinstance(given, dict) and "name" in given else path
        self.faults.append(Fault(here, f"wants the name of {with_article(kind.kind)}: {', '.join(kind.names())}"))

    def parts(self, kind: Registry, section: str, default: Any) -> dict[str, Component]:
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

    def components(self, kind: Registry, section: str) -> tuple[Component, ...]:
        """Check a list of components."""
        found = tuple(self.component(kind, v, (section, i)) for i, v in enumerate(self.values.get(section, ())))
        first: dict[str, int] = {}
        for i, one in enumerate(found):
            if one.name and first.setdefault(repr(one.plain()), i) != i:
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
    if nearest(name, kind.names()) or len(kind.names()) <= MOST_NAMED or kind.kind not in LISTED:
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


def plan(spec: Spec) -> Plan:
    """Check a spec against the registries; raises SpecError with every fault found."""
    with spec.telling():
        drafted, faults = draft(spec)
        if faults:
            raise ConfigError(faults)
    return drafted


def learner_plan(spec: Spec) -> LearnerPlan:
    """Check what of a spec predicts: the task, the model and the device; raises SpecError."""
    with spec.telling():
        planner = Planner(spec, needs_files=False)
        drafted = LearnerPlan(**_learner(planner))
        if planner.faults:
            raise ConfigError(planner.faults)
    return drafted


def source_of(data: Mapping[str, Any], seed: int = 0) -> Source:
    """Build the data set of one section alone, for a look at it; raises UsageError."""
    planner = Planner(Spec({"data": dict(data)}), needs_files=True)
    component = planner.component(registry.sources, dict(data), ("data",))
    if planner.faults:
        raise ConfigError(planner.faults)
    made: Source = component.build({"seed": seed})
    return made


def _learner(planner: Planner) -> dict[str, Any]:
    values = planner.values
    return {
        "spec": planner.spec,
        "seed": values.get("seed", 0),
        "device": planner.settings("device", DEVICE),
        "task": planner.component(registry.tasks, values["task"], ("task",)),
        "model": planner.component(registry.models, values["model"], ("model",)),
    }


def draft(spec: Spec, needs_files: bool = True) -> tuple[Plan, list[Fault]]:
    """Check a spec against the registries: the plan as far as it goes, and the faults.

    Where not all files are needed, one that is not there is told by what comes to read it.
    """
    planner, values = Planner(spec, needs_files), spec.values
    drafted = Plan(
        **_learner(planner),
        name=values.get("name"),
        epochs=values.get("epochs"),
        steps=values.get("steps"),
        data=planner.component(registry.sources, values["data"], ("data",)),
        optimizers=planner.parts(registry.optimizers, "optimizer", "adam"),
        schedules=planner.parts(registry.schedules, "schedule", "constant"),
        trainer=planner.settings("trainer", TRAINER),
        metrics=planner.components(registry.metrics, "metrics"),
        loggers=planner.components(registry.loggers, "loggers"),
    )
    if drafted.epochs is None and drafted.steps is None:
        planner.faults.append(Fault((), "epochs: is missing: say how long to train, in epochs or in steps"))
    _check_loggers(planner, drafted.loggers)
    _check_groups(planner, drafted.optimizers)
    _check_parts(planner, drafted)
    if "metrics" not in values and drafted.task.name:
        default = drafted.task.constructor().default_metrics
        drafted = replace(drafted, metrics=tuple(planner.component(registry.metrics, name, ("metrics",)) for name in default))
    return drafted, planner.faults


def _check_parts(planner: Planner, drafted: Plan) -> None:
    """Hold the parts that optimizers and schedules are given for against those that the task trains on their own."""
    if not drafted.task.name:
        return
    wanted: tuple[str, ...] = drafted.task.constructor().parts
    for section, components in (("optimizer", drafted.optimizers), ("schedule", drafted.schedules)):
        given = [part for part in components if part]
        for part in given:
            if part not in wanted:
                hint = unknown("part", part, list(wanted)) if wanted else "unknown part; this task trains the model as a whole"
                planner.faults.append(Fault((section, part), hint))
        if given and (missing := [part for part in wanted if part not in given]):
            planner.faults.append(Fault((section,), f"gives nothing for the part '{missing[0]}'"))


def _check_loggers(planner: Planner, loggers: Iterable[Component]) -> None:
    for component in loggers:
        if component.name and component.constructor().always:
            planner.faults.append(Fault(component.path, f"every run has the logger '{component.name}' already; leave it out"))


def _check_groups(planner: Planner, optimizers: Mapping[str, Component]) -> None:
    for component in optimizers.values():
        given = component.options.get("groups", {})
        for pattern, settings in given.items() if isinstance(given, dict) else ():
            if not isinstance(settings, dict):
                continue  # told already
            wanted = component.registry.signatures[component.name].choices
            optional = {n: type(p)(n, p.annotation, None) for n, p in wanted.items()}
            _, faults = check(Signature({}, optional), settings, (*component.path, "groups", pattern))
            planner.faults += faults
