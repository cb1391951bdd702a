"""A plan to objects: the only place where names become things."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import torch
from torch import nn

from dlx import registry
from dlx.assembly.kept import Kept
from dlx.assembly.plan import Component, Plan, at, draft
from dlx.config.values import Spec, SpecError
from dlx.core import HasOutputPath, Metric, Processor, Schedule, Source, Task, shortened, to_device
from dlx.engine import cached_features
from dlx.engine.device import Device
from dlx.engine.evaluator import evaluating
from dlx.engine.trainer import Trainer
from dlx.errors import ConfigError, DlxError, Fault, Misfit, unknown
from dlx.optimizers import groups
from dlx.schedules import curves
from dlx.storage.failures import is_memory, reason


def prepare(spec: Spec, kept: Kept | None = None, approve: Callable[[Plan], None] = lambda plan: None) -> Experiment:
    """Check a spec and build what it names; raises SpecError with every fault, in components and between them.

    `kept` is what a checkpoint of the experiment keeps: its processor encodes, and its facts shape the model. `approve` may
    refuse the plan before anything that it names is looked at.
    """
    drafted, faults = draft(spec, needs_files=kept is None or kept.wanted_splits is None)
    if not faults:
        approve(drafted)
        return experiment(drafted, kept)
    if not any(f.path[:1] in (("data",), ("task",), ("model",), ("device",)) for f in faults):
        faulty = {fault.path[:2] for fault in faults}
        drafted.sections["metrics"] = [m for m in drafted["metrics"] or () if m and m.path not in faulty]
        with contextlib.suppress(DlxError):  # whatever else is wrong with the data is told once the config is right
            try:
                assemble(drafted)
            except ConfigError as error:
                faults = faults + error.faults
    raise SpecError(spec.describe(ConfigError(faults)))


@dataclass(frozen=True)
class Learner:
    """What can predict: a task with its model, on a device."""

    task: Task
    device: Device
    seed: int


@dataclass(frozen=True)
class Experiment(Learner):
    """All that training and evaluating need; `facts` are those of the data, as the model's checkpoints keep them."""

    source: Source
    facts: Mapping[str, Any]
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


def experiment(plan: Plan, kept: Kept | None = None) -> Experiment:
    """Build all that a plan names but optimizers and schedules; raises SpecError."""
    try:
        return assemble(plan, kept)
    except ConfigError as error:
        raise SpecError(plan.spec.describe(error)) from None


def assemble(plan: Plan, kept: Kept | None = None) -> Experiment:
    """Build data, model, task and metrics; raises ConfigError with every mismatch between them."""
    source, data = _source(plan, kept), f"data '{plan['data'].name}'"
    facts = {"seed": plan["seed"], **(kept.facts if kept else source.facts)}
    measured = metric_facts(source, facts)
    faults = _metric_faults(plan, measured, data)
    try:
        built = learner(plan, facts, data)
        source.to(built.device.device)
        verify(built, source, plan)
    except ConfigError as error:
        faults = error.faults + [f for f in faults if f.path != ("metrics",)]  # those the task chose follow from this
    if faults:
        raise ConfigError(faults)
    make_metrics = lambda: [m.build(measured) for m in plan["metrics"]]  # noqa: E731
    return Experiment(built.task, built.device, built.seed, source, facts, make_metrics, plan)


def _source(plan: Plan, kept: Kept | None) -> Source:
    task_class: Any = registry.tasks.get(plan["task"].name)
    asked = {"seed": plan["seed"], "task_target": task_class.target_kind}
    if kept:
        asked |= {"processor": kept.processor, "wanted_splits": kept.wanted_splits}
    source: Source = plan["data"].build(asked)
    if kept:
        kept.hold(source)
    return source


def metric_facts(source: Source, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Give metrics, beside the data's facts, the training split and the way to networks trained before."""

    def load_trained(path: str) -> Any:
        from dlx.assembly.classifier import load  # it builds what the checkpoint names, as this module does

        return load(path)

    training = lambda: source.evaluate(None, "train")  # noqa: E731
    return {**facts, "training": training, "trained": load_trained, "processor": source.processor}


def reads_training(spec: Spec) -> bool:
    """Return whether a metric of an evaluation, named in the config or added by the task, asks for the training split."""
    plan, _ = draft(spec, needs_files=False)
    chosen = [metric.name for metric in plan["metrics"] or () if metric]
    task_class: Any = registry.tasks.get(plan["task"].name) if plan["task"] else Task
    names = {*chosen, *task_class.closer_metrics} & set(registry.metrics.names())
    return any("training" in registry.metrics.signatures[name].facts for name in names)


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
    if (example := source.example()) is None:
        return
    batch = shortened(example, 4)  # enough to see what fits
    on_device = to_device(batch, built.device.device)
    model: nn.Module = built.task.model
    place = model.output_path if isinstance(model, HasOutputPath) else ()
    try:
        with evaluating(built.task, built.device, built.seed), built.device.autocast():
            built.task.verify(on_device)
    except Misfit as error:
        path = error.path or place
        raise ConfigError([Fault((*plan["model"].path, *path), error.message)]) from None
    except (RuntimeError, TypeError, IndexError) as error:
        if is_memory(error):  # which is no mismatch
            raise
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
        components = _parts(plan["optimizer"])
        if "" in components and built.task.parts:  # one given alone is made once for each part
            components = dict.fromkeys(built.task.parts, components[""])
        optimizers = {part: _optimizer(built, c, part) for part, c in components.items()} if trainable else {}
        facts = {**built.facts, "total_steps": total, **({"steps_per_epoch": steps_per_epoch} if steps_per_epoch else {})}
        schedules = _schedules(plan, facts, list(optimizers))
    except ConfigError as error:
        raise SpecError(plan.spec.describe(error)) from None
    kept = cached_features.cached(source, built.task, built.device)
    return Trainer(
        built.task, kept, optimizers, schedules, built.make_metrics, built.device, built.seed, total, **plan["trainer"]
    )


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
    found = {}
    for part in parts:
        component = given.get(part) or given[""]
        warmup, total = component.choices["warmup"], facts["total_steps"]
        steps = int(warmup * total) if isinstance(warmup, float) and warmup < 1 else int(warmup)
        inner = component.build({**facts, "total_steps": max(total - steps, 1)}, "a run in steps")
        found[part] = curves.WarmedUp(inner, steps) if steps else inner
    return found


def processor(state: Mapping[str, Any]) -> Processor:
    """Make a processor again from what a checkpoint keeps."""
    cls: Any = registry.processors.get(state["name"])
    try:
        return cls.from_state(state["state"])
    except (KeyError, TypeError, ValueError, AttributeError, IndexError) as error:
        raise DlxError(
            f"the checkpoint's processor is no '{state['name']}': {type(error).__name__}: {reason(error)}"
        ) from error
