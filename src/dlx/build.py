"""A spec to objects: the only place where names become things."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from dlx import features, registry
from dlx.core import Metric, Processor, Schedule, Source, Task, to_device
from dlx.device import Device
from dlx.errors import ConfigError, DlxError, Fault, Misfit, Path, meant, nearest, unknown, with_article
from dlx.evaluator import evaluating
from dlx.optimizers import groups
from dlx.registry import Registry, Signature, check, signature
from dlx.schedules import curves
from dlx.spec import Spec, SpecError
from dlx.trainer import Trainer

OPTIONS = {"optimizer": signature(groups.options), "schedule": signature(curves.options)}
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


def _plain(value: Any) -> Any:
    if isinstance(value, Component):
        return _plain(value.plain())
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value


class Planner:
    """Holds a spec against the registries, and collects every fault on the way."""

    def __init__(self, spec: Spec) -> None:
        self.values, self.faults = spec.values, list[Fault]()

    def component(self, kind: Registry, value: Any, path: Path, options: Signature = NO_OPTIONS) -> Component | None:
        """Check one component, written as a name or as a mapping with a name."""
        given = {"name": value} if isinstance(value, str) else value
        if not isinstance(given, dict) or not isinstance(given.get("name"), str):
            self._nameless(kind, given, path, options)
            return None
        choices = {k: v for k, v in given.items() if k != "name"}
        name_path = (*path, "name") if isinstance(value, dict) else path
        if given["name"] not in kind:
            self.faults.append(Fault(name_path, f"'{given['name']}': {unknown(kind.kind, given['name'], kind.names())}"))
            return None
        wanted = kind.signatures[given["name"]]
        both = Signature(wanted.facts, {**wanted.choices, **options.choices})
        checked, faults = check(both, choices, path)
        self.faults += [_with_name(f, path, both) for f in faults]
        return Component(kind, given["name"], checked, path)

    def _nameless(self, kind: Registry, given: Any, path: Path, options: Signature) -> None:
        """Tell that a component has no name, and which of its keys nothing of its kind takes."""
        if isinstance(given, dict):
            keys = list(dict.fromkeys(key for name in kind.names() for key in kind.signatures[name].choices))
            known = ["name", *keys, *options.choices]
            for key in given:
                if key in kind:
                    self.faults.append(Fault((*path, key), f"unknown key; write {{name: {key}, ...}}"))
                elif key not in known:
                    near = meant(nearest(key, known)) or f"no {kind.kind} takes it"
                    self.faults.append(Fault((*path, key), f"unknown key; {near}"))
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
        return None if values is None else [self.component(kind, v, (section, i)) for i, v in enumerate(values)]

    def settings(self, section: str, wanted: Signature) -> dict[str, Any]:
        """Check a section without a name, such as `trainer`."""
        value = self.values.get(section, {})
        checked, faults = check(wanted, {"name": value} if isinstance(value, str) else value, (section,))
        self.faults += faults
        return checked


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


def prepare(spec: Spec) -> Experiment:
    """Check a spec and build what it names; raises SpecError with every fault, in components and between them."""
    drafted, faults = draft(spec)
    if not faults:
        return experiment(drafted)
    if not any(f.path[:1] in (("data",), ("task",), ("model",), ("device",)) for f in faults):
        with contextlib.suppress(DlxError):  # whatever else is wrong with the data is told once the config is right
            try:
                assemble(drafted)
            except ConfigError as error:
                faults = faults + error.faults
    raise SpecError(spec.describe(ConfigError(faults)))


def draft(spec: Spec, inference: bool = False) -> tuple[Plan, list[Fault]]:
    """Check a spec against the registries: the plan as far as it goes, and the faults."""
    planner, values = Planner(spec), spec.values
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
        _check_groups(planner, sections["optimizer"])
    if not inference and sections["metrics"] is None and sections["task"]:
        default = registry.tasks.get(sections["task"].name).default_metrics  # type: ignore[attr-defined]
        sections["metrics"] = [planner.component(registry.metrics, name, ("metrics",)) for name in default]
    for section in ("optimizer", "schedule"):
        if list(sections.get(section, ())) == [""]:
            sections[section] = sections[section][""]
    return Plan(spec, sections), planner.faults


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


@dataclass(frozen=True)
class Learner:
    """What can predict: a task with its model, on a device."""

    task: Task
    device: Device
    seed: int


@dataclass(frozen=True)
class Experiment(Learner):
    """All that training and evaluating need."""

    source: Source
    make_metrics: Callable[[], list[Metric]]
    plan: Plan


def learner(plan: Plan, facts: Mapping[str, Any], data: str = "the data") -> Learner:
    """Build model and task from facts alone, as a checkpoint keeps them."""
    with at(("device",)):
        device = Device(**plan["device"])
    torch.manual_seed(plan["seed"])
    model = plan["model"].build(facts, data)
    task = plan["task"].build({**facts, "model": model}, data)
    device.prepare(task)
    return Learner(task, device, plan["seed"])


def experiment(plan: Plan) -> Experiment:
    """Build all that a plan names but optimizers and schedules; raises SpecError."""
    try:
        return assemble(plan)
    except ConfigError as error:
        raise SpecError(plan.spec.describe(error)) from None


def assemble(plan: Plan) -> Experiment:
    """Build data, model, task and metrics; raises ConfigError with every mismatch between them."""
    source: Source = plan["data"].build({"seed": plan["seed"]})
    data = f"data '{plan['data'].name}'"
    facts = {"seed": plan["seed"], **source.facts}
    faults = _metric_faults(plan, facts, data)
    try:
        built = learner(plan, facts, data)
        verify(built, source, plan)
    except ConfigError as error:
        faults = error.faults + [f for f in faults if f.path != ("metrics",)]  # those the task chose follow from this
    if faults:
        raise ConfigError(faults)
    return Experiment(built.task, built.device, built.seed, source, lambda: [m.build(facts) for m in plan["metrics"]], plan)


def _metric_faults(plan: Plan, facts: Mapping[str, Any], data: str) -> list[Fault]:
    """Find metrics that read what the task does not predict, or miss a fact."""
    task_class: Any = registry.tasks.get(plan["task"].name)
    faults = []
    for metric in filter(None, plan["metrics"]):
        metric_class: Any = registry.metrics.get(metric.name)
        if missing := metric_class.reads - task_class.predicts:
            fitting = [n for n in registry.metrics.names() if registry.metrics.get(n).reads <= task_class.predicts]  # type: ignore[attr-defined]
            words = f"reads '{sorted(missing)[0]}', which the task '{plan['task'].name}' does not predict"
            faults.append(Fault(metric.path, f"'{metric.name}' {words}; metrics that fit: {', '.join(fitting)}"))
            continue
        try:
            metric.build(facts, data)
        except ConfigError as error:
            faults += error.faults
    return faults


def verify(built: Learner, source: Source, plan: Plan) -> None:
    """Let the task look at one batch; an error of shape inside the model is told at the model's place."""
    split = next(s for s in ("val", "train", "test") if s in source.splits())
    batch = next(iter(source.evaluate(built.task, split)), None)
    if batch is None:
        return
    batch = {k: v[:4] if isinstance(v, torch.Tensor) else v for k, v in batch.items()}  # enough to see what fits
    on_device = to_device(batch, built.device.device)
    place = getattr(built.task.model, "output_path", ())
    try:
        with evaluating(built.task, built.device, built.seed), built.device.autocast():
            built.task.verify(on_device)
    except Misfit as error:
        path = error.path or place
        raise ConfigError([Fault((*plan["model"].path, *path), error.message)]) from None
    except (RuntimeError, TypeError, IndexError) as error:
        shapes = ", ".join(f"{k} {tuple(v.shape)}" for k, v in batch.items() if isinstance(v, torch.Tensor))
        reason = str(error).splitlines()[0]
        raise ConfigError([Fault(plan["model"].path, f"cannot read a batch of {shapes}: {reason}")]) from None


def placed(plan: Plan, act: Callable[[], None]) -> None:
    """Do something that may find a fault in the config, which is told with its place."""
    try:
        act()
    except Misfit as error:
        raise SpecError(plan.spec.describe(ConfigError([Fault(error.path, error.message)]))) from None


def trainer(built: Experiment) -> Trainer:
    """Build optimizers, schedules and the loop; raises SpecError."""
    plan, source = built.plan, built.source
    try:
        accumulate = plan["trainer"]["accumulate"]
        steps_per_epoch = -(-source.batches_per_epoch // accumulate) if source.batches_per_epoch else None
        total = plan["steps"] if plan["steps"] is not None else _steps(plan, steps_per_epoch)
        trainable = any(p.requires_grad for p in built.task.model.parameters())
        if total and not trainable:
            raise ConfigError([Fault(("model",), "has no parameters to train; set epochs: 0 to evaluate it as it is")])
        optimizers = {part: _optimizer(built, c, part) for part, c in _parts(plan["optimizer"]).items()} if trainable else {}
        facts = {**source.facts, "total_steps": total, **({"steps_per_epoch": steps_per_epoch} if steps_per_epoch else {})}
        schedules = _schedules(plan, facts, list(optimizers))
    except ConfigError as error:
        raise SpecError(plan.spec.describe(error)) from None
    kept = features.cached(source, built.task, built.device)
    made = Trainer(
        built.task, kept, optimizers, schedules, built.make_metrics, built.device, built.seed, total, **plan["trainer"]
    )
    if kept is not source:
        kept.between = made.heed  # type: ignore[attr-defined]
    return made


def _parts(section: Any) -> dict[str, Component]:
    return {"": section} if isinstance(section, Component) else section


def _steps(plan: Plan, steps_per_epoch: int | None) -> int:
    if steps_per_epoch is None:
        raise ConfigError([Fault(("epochs",), f"data '{plan['data'].name}' has no epochs; give steps")])
    return plan["epochs"] * steps_per_epoch


def _optimizer(built: Experiment, component: Component, part: str) -> torch.optim.Optimizer:
    model: nn.Module = built.task.model
    with at(component.path):
        if part:
            parts = dict(model.named_children())
            if part not in parts:
                raise Misfit(unknown("part of the model", part, list(parts)))
            model = parts[part]
        make = registry.optimizers.get(component.name)
        try:
            return groups.construct(make, model, component.choices, built.device.device)
        except ValueError as error:  # torch's own bounds, such as a negative lr: its message ends with the value
            key = [(k,) for k, v in component.choices.items() if str(error).endswith(f": {v}")]
            raise Misfit(str(error), key[0] if len(key) == 1 else ()) from None


def _schedules(plan: Plan, facts: Mapping[str, Any], parts: list[str]) -> dict[str, Schedule]:
    given = _parts(plan["schedule"])
    if stray := [p for p in given if p and p not in parts]:
        raise ConfigError([Fault(("schedule", stray[0]), unknown("part", stray[0], [p for p in parts if p]))])
    found = {}
    for part in parts:
        component = given.get(part) or given.get("")
        if component is None:
            raise ConfigError([Fault(("schedule",), f"names no schedule for the part '{part}'")])
        warmup, total = component.choices["warmup"], facts["total_steps"]
        steps = int(warmup * total) if isinstance(warmup, float) and warmup < 1 else int(warmup)
        inner = component.build({**facts, "total_steps": max(total - steps, 1)}, "a run in steps")
        found[part] = curves.WarmedUp(inner, steps) if steps else inner
    return found


def processor(state: Mapping[str, Any]) -> Processor:
    """Make a processor again from what a checkpoint keeps."""
    cls: Any = registry.processors.get(state["name"])
    return cls.from_state(state["state"])
