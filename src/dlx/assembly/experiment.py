"""A plan to data, model, task and metrics that are known to work together."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import nn

from dlx import registry
from dlx.assembly import classifier, policy
from dlx.assembly.learner import Learner, build_learner, processor_fact
from dlx.assembly.plan import Plan
from dlx.assembly.planner import draft
from dlx.assembly.restore import digest
from dlx.assembly.trained_on import TrainedOn
from dlx.config.values import Spec
from dlx.core import HasOutputPath, Metric, Source, shortened, to_device
from dlx.engine.evaluator import evaluating
from dlx.errors import ComponentError, ConfigError, DlxError, Fault
from dlx.storage import weights
from dlx.storage.failures import is_memory


@dataclass(frozen=True)
class Experiment(Learner):
    """All that training and evaluating need; `facts` are those of the data, as the model's checkpoints keep them.

    `references` has the digests of the checkpoints of other runs that task and metrics ask, by their paths in the config.
    """

    source: Source
    facts: Mapping[str, Any]
    make_metrics: Callable[[], list[Metric]]
    plan: Plan
    references: Mapping[str, str]


def prepare(spec: Spec, trained_on: TrainedOn | None = None, approve: Callable[[Plan], None] = lambda plan: None) -> Experiment:
    """Check a spec and build what it names; raises SpecError with every fault, in components and between them.

    `trained_on` is what a checkpoint of the experiment keeps of its data: its processor encodes, and its facts shape the
    model. `approve` may refuse the plan before anything that it names is looked at.
    """
    with spec.telling():
        drafted, faults = draft(spec, needs_files=trained_on is None or trained_on.wanted_splits is None)
        if faults:
            raise ConfigError(faults + _further_faults(drafted, faults))
        approve(drafted)
        return assemble(drafted, trained_on)


def restored(spec: Spec, trained_on: TrainedOn, approve: Callable[[Plan], None]) -> Experiment:
    """Build the experiment of a checkpoint, of its own config or of one like it, on what it was trained on; raises SpecError.

    The weights stay as chance has them: `Loaded.fill` puts the checkpoint's in.
    """
    with weights.withheld():
        return prepare(spec, trained_on, approve)


def _further_faults(drafted: Plan, faults: list[Fault]) -> list[Fault]:
    """Find what does not fit together, beside faults that leave data, task, model and device whole."""
    if any(f.path[:1] in (("data",), ("task",), ("model",), ("device",)) for f in faults):
        return []
    faulty = {fault.path[:2] for fault in faults}
    sound = replace(drafted, metrics=tuple(m for m in drafted.metrics if m.name and m.path not in faulty))
    with contextlib.suppress(DlxError):  # whatever else is wrong with the data is told once the config is right
        try:
            assemble(sound)
        except ConfigError as error:
            return error.faults
    return []


def assemble(plan: Plan, trained_on: TrainedOn | None = None) -> Experiment:
    """Build data, model, task and metrics; raises ConfigError with every mismatch between them."""
    source, data = _source(plan, trained_on), f"data '{plan.data.name}'"
    facts = {"seed": plan.seed, **(trained_on.facts if trained_on else source.facts)}
    references: dict[str, str] = {}
    measured = metric_facts(source, facts, references)
    faults = _metric_faults(plan, measured, data)
    try:
        built = build_learner(plan, {**facts, **task_facts(source, trained_on, references)}, source.processor, data)
        source.to(built.device.device)
        verify(built, source, plan)
    except ConfigError as error:
        faults = error.faults + [f for f in faults if f.path != ("metrics",)]  # those the task chose follow from this
    if faults:
        raise ConfigError(faults)
    make_metrics = lambda: [m.build(measured) for m in plan.metrics]  # noqa: E731
    return Experiment(built.task, built.device, built.seed, source, facts, make_metrics, plan, references)


def _source(plan: Plan, trained_on: TrainedOn | None) -> Source:
    asked = {"seed": plan.seed, "task_target": plan.task.constructor().target_kind}
    if trained_on:
        asked |= {"processor": trained_on.processor, "wanted_splits": trained_on.wanted_splits}
    source: Source = plan.data.build(asked)
    if trained_on:
        trained_on.hold(source)
    return source


def metric_facts(source: Source, facts: Mapping[str, Any], references: dict[str, str] | None = None) -> dict[str, Any]:
    """Give metrics, beside the data's facts, the training split and the way to networks trained before.

    What is loaded on the way is noted among the `references`.
    """

    def load_trained(path: str) -> Any:
        loaded = classifier.load(path)
        if references is not None:
            references[path] = digest(path)
        return loaded

    training = lambda: source.evaluate(None, "train")  # noqa: E731
    return {**facts, **processor_fact(source.processor), "training": training, "trained": load_trained}


def task_facts(source: Source, trained_on: TrainedOn | None, references: dict[str, str]) -> dict[str, Any]:
    """Give tasks, beside the data's facts, what they need to train, and not to answer: the way to policies."""
    if trained_on and trained_on.wanted_splits is not None:
        return {}

    def load_policy(name: str) -> Any:
        loaded = policy.of_source(source, name)
        if name != policy.SCRIPTED:
            references[name] = digest(name)
        return loaded

    return {"policies": load_policy}


def reads_training(spec: Spec) -> bool:
    """Return whether a metric of an evaluation, named in the config or added by the task, asks for the training split."""
    plan, _ = draft(spec, needs_files=False)
    further = plan.task.constructor().eval_metrics if plan.task.name else ()
    names = {*further, *(metric.name for metric in plan.metrics)} & set(registry.metrics.names())
    return any("training" in registry.metrics.signatures[name].facts for name in names)


def _metric_faults(plan: Plan, facts: Mapping[str, Any], data: str) -> list[Fault]:
    """Find metrics that read what the task does not predict, or miss a fact."""
    predicts, faults = plan.task.constructor().predicts, []
    for metric in plan.metrics:
        if missing := metric.constructor().reads - predicts:
            metric_class: Any = registry.metrics.get
            fitting = [name for name in registry.metrics.names() if metric_class(name).reads <= predicts]
            words = f"reads '{sorted(missing)[0]}', which the task '{plan.task.name}' does not predict"
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
    except ComponentError as error:
        path = error.path or place
        raise ConfigError([Fault((*plan.model.path, *path), error.message)]) from None
    except (RuntimeError, TypeError, IndexError) as error:
        if is_memory(error):  # which is no mismatch
            raise
        shapes = ", ".join(f"{k} {tuple(v.shape)}" for k, v in batch.items() if isinstance(v, torch.Tensor))
        reason = str(error).splitlines()[0]
        raise ConfigError([Fault(plan.model.path, f"cannot read a batch of {shapes}: {reason}")]) from None
