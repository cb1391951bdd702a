"""What an experiment consists of once every name and value is checked; nothing is built yet."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from dlx.config.values import Spec
from dlx.errors import ComponentError, ConfigError, Fault, Path
from dlx.registry import Registry
from dlx.registry.signatures import markers
from dlx.registry.types import Request


@dataclass(frozen=True)
class Component:
    """A name of a registry with its checked choices, and where in the config it stands.

    `options` are what its section takes beside the component's own choices, such as a schedule's warm-up. A name that is not
    known is "", which only a plan with faults has.
    """

    registry: Registry
    name: str
    choices: Mapping[str, Any]
    path: Path
    options: Mapping[str, Any] = field(default_factory=dict)

    def build(self, facts: Mapping[str, Any], source: str = "the data") -> Any:
        """Construct it; a ComponentError is told at its place."""
        with at(self.path):
            return self.registry.build(self.name, self.choices, facts, source)

    def constructor(self) -> Any:
        """Return what makes it: a class, or a function."""
        return self.registry.get(self.name)

    def plain(self) -> dict[str, Any]:
        """Write it the long way, with every default."""
        return {"name": self.name, **self.choices, **self.options}


@contextmanager
def at(path: Path) -> Iterator[None]:
    """Turn a ComponentError raised inside into a ConfigError at the section's path."""
    try:
        yield
    except ComponentError as error:
        raise ConfigError([Fault((*path, *error.path), error.message)]) from None


@dataclass(frozen=True)
class LearnerPlan:
    """What predicts, checked: all that a checkpoint needs to answer."""

    spec: Spec
    seed: int
    device: Mapping[str, Any]
    task: Component
    model: Component


@dataclass(frozen=True)
class Plan(LearnerPlan):
    """A whole experiment, checked. Optimizers and schedules are by part of the model; "" stands for the whole."""

    name: str | None
    epochs: int | None
    steps: int | None
    data: Component
    optimizers: Mapping[str, Component]
    schedules: Mapping[str, Component]
    trainer: Mapping[str, Any]
    metrics: tuple[Component, ...]
    loggers: tuple[Component, ...]

    def resolved(self) -> dict[str, Any]:
        """Write the whole experiment as plain values, with all defaults, ready for YAML."""
        sections = {
            "name": self.name,
            "seed": self.seed,
            "epochs": self.epochs,
            "steps": self.steps,
            "device": self.device,
            "task": self.task,
            "model": self.model,
            "data": self.data,
            "optimizer": self.optimizers.get("", self.optimizers),
            "schedule": self.schedules.get("", self.schedules),
            "trainer": self.trainer,
            "metrics": self.metrics,
            "loggers": self.loggers,
        }
        return {key: _plain(value) for key, value in sections.items() if value is not None}

    def requests(self) -> Iterator[tuple[Path, str, Any]]:
        """Yield what the data, the task and the metrics ask of the machine: the key, what to do, and the value, such as a path."""
        for component in (self.data, self.task, *self.metrics):
            wanted = component.registry.signatures[component.name].choices
            for name, value in component.choices.items():
                for marker in markers(wanted[name].annotation):
                    if isinstance(marker, Request) and marker.asks(value):
                        yield (*component.path, name), marker.asks_to, value


def _plain(value: Any) -> Any:
    if isinstance(value, Component):
        return _plain(value.plain())
    if isinstance(value, Mapping):
        return {k: _plain(v) for k, v in value.items()}
    return [_plain(v) for v in value] if isinstance(value, (list, tuple)) else value
