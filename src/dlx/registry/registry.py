"""Names to constructors."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import inspect
import logging
import os
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Self

from dlx.errors import ComponentError, DlxError, Path, UsageError, unknown
from dlx.registry.signatures import REQUIRED, Signature, misdeclared, place_of, signature

# What constructors are given by name: the facts of dlx's data sets (docs/glossary.md), and what else there is for some kinds.
FACTS = frozenset((
    "input_shape", "num_features", "category_sizes", "vocab_size", "in_channels", "channel_mean", "channel_std", "num_classes",
    "target_vocab_size", "shared_vocabulary", "max_target_length", "constant_target",
    "class_names", "skipped_count", "class_counts", "num_outputs", "target_names", "target_mean", "target_std", "seed",
    "training", "trained", "policies", "facts", "model", "params", "run", "quiet", "total_steps", "steps_per_epoch",
    "warmup_steps", "processor", "wanted_splits", "task_target", "padded", "num_actions", "action_size",
    "rollout_steps", "replay_capacity", "discount", "look_back", "horizon", "num_series", "num_targets", "num_known", "season",
    "seasonal_error",
))  # fmt: skip
log = logging.getLogger("dlx")


class Registry:
    """The constructors of one kind by name, found by importing the package's modules, whole only where it must be.

    `base` is the class that all of them make, as MODULE:NAME.
    """

    def __init__(self, kind: str, package: str, base: str = "") -> None:
        self.kind, self.package, self.base = kind, package, base
        self.entries: dict[str, Any] = {}
        self.signatures: dict[str, Signature] = {}
        self.loaded = False

    def __call__(self, name: str) -> Callable[[Any], Any]:
        def add(constructor: Any) -> Any:
            self.adopt(name, constructor)
            return constructor

        return add

    def adopt(
        self, name: str, constructor: Callable[..., Any], facts: Iterable[str] | None = None, hidden: Iterable[str] = ()
    ) -> None:
        """Enter a constructor; one written elsewhere says which of its parameters are facts."""
        if name in self.entries:
            raise ValueError(f"{self.kind} '{name}' is already registered")
        if facts is None:
            self.refuse_unfinished(name, constructor)
        self.entries[name] = constructor
        self.signatures[name] = signature(constructor, facts, hidden)

    def refuse_unfinished(self, name: str, constructor: Any) -> None:
        """Raise UsageError, with file and line, where a class lacks what every one of its kind has."""
        wanted = self.base_class() if inspect.isclass(constructor) else None
        if wanted is None:
            return
        told = ""
        if not issubclass(constructor, wanted):
            told = f"must extend {wanted.__name__} (from {self.base.partition(':')[0]} import {wanted.__name__})"
        elif missing := constructor.unwritten() if self.kind == "task" else _abstract(constructor):
            told = f"does not define {', '.join(map(self._method, missing))}"
        if told:
            raise UsageError(f"{place_of(constructor)}: {self.kind} '{name}': the class {constructor.__name__} {told}")

    def _method(self, name: str) -> str:
        return f"{name}({', '.join(inspect.signature(getattr(self.base_class(), name)).parameters)})"

    def base_class(self) -> type | None:
        """Import the class that every constructor makes an instance of; None where the kind has none."""
        module, _, noun = self.base.partition(":")
        return getattr(importlib.import_module(module), noun) if self.base else None

    def names(self) -> list[str]:
        """List every name, after importing the registry's folder and the installed plugins."""
        if not self.loaded:
            self.loaded = True
            for module in self.modules():
                importlib.import_module(module)
            load_entry_points()
        return sorted(self.entries)

    @contextmanager
    def scratch(self) -> Iterator[Self]:
        """Give the registry for a while in which what is entered is forgotten at the end, as tests want it."""
        self.names()  # all of dlx's own first: a module is imported once, and what it entered meanwhile would be lost
        kept = dict(self.entries), dict(self.signatures)
        try:
            yield self
        finally:
            self.entries, self.signatures = kept

    def modules(self) -> list[str]:
        """List the modules of the registry's folder."""
        found = pkgutil.walk_packages(importlib.import_module(self.package).__path__, f"{self.package}.")
        return [module.name for module in found if not module.ispkg]

    def __contains__(self, name: Any) -> bool:
        if not isinstance(name, str):
            return False
        # Module by module, those whose name resembles it first: some cost seconds to import.
        if name not in self.entries and not self.loaded:
            for module in sorted(self.modules(), key=lambda m: not _alike(m.rpartition(".")[2], name)):
                importlib.import_module(module)
                if name in self.entries:
                    break
            else:
                self.names()
        return name in self.entries

    def get(self, name: str, path: Path = ()) -> Any:
        """Find a constructor; an unknown name is a ComponentError at `path`."""
        if name not in self:
            raise ComponentError(f"'{name}': {unknown(self.kind, name, self.names())}", path)
        return self.entries[name]

    def about(self, name: str) -> str:
        """Quote a constructor's own docstring, not that of a class it extends."""
        return inspect.cleandoc(self.get(name).__doc__ or "")

    def summary(self, name: str) -> str:
        """Quote the first line of a constructor's own docstring."""
        return self.about(name).partition("\n")[0]

    def build(self, name: str, choices: Mapping[str, Any], facts: Mapping[str, Any], source: str = "the data") -> Any:
        """Call a constructor with the facts it asks for by name and checked choices."""
        constructor, wanted = self.get(name), self.signatures[name]
        given = {}
        for fact in wanted.facts.values():
            if fact.name == "facts":
                given["facts"] = facts
            elif fact.name in facts:
                given[fact.name] = facts[fact.name]
            elif fact.default is REQUIRED:
                raise ComponentError(self._lacking(name, fact.name, facts, source))
        made = constructor(**wanted.arguments({**given, **choices}))
        base = self.base_class()
        if base and not isinstance(made, base):
            raise ComponentError(f"{self.kind} '{name}' gives {type(made).__name__}, and not a {base.__name__}")
        return made

    def _lacking(self, name: str, fact: str, facts: Mapping[str, Any], source: str) -> str:
        offered = ", ".join(sorted(f for f in facts if f not in ("seed", "model", "processor")))
        told = f"{self.kind} '{name}' needs the fact '{fact}'; {source} offers {offered or 'none'}"
        return told if fact in FACTS else f"{told}; a setting of the config stands behind a star: (..., *, {fact})"


def _abstract(constructor: Any) -> list[str]:
    return sorted(constructor.__abstractmethods__) if inspect.isabstract(constructor) else []


def _alike(module: str, name: str) -> bool:
    return module in name or name in module


@cache
def load_entry_points() -> None:
    """Import what installed packages offer under the entry point group `dlx.plugins`."""
    for entry in importlib.metadata.entry_points(group="dlx.plugins"):
        try:
            entry.load()
        except Exception as error:
            raise DlxError(f"the installed plugin '{entry.name}' ({entry.value}) fails: {_reason(error)}") from error


def load_plugin(file: str) -> None:
    """Import one Python file that the user named on the command line."""
    name = "dlx_plugin_" + os.path.splitext(os.path.basename(file))[0]
    described = importlib.util.spec_from_file_location(name, file)
    if not os.path.isfile(file) or described is None or described.loader is None:
        raise UsageError(f"--plugin: no Python file {file}")
    module = sys.modules[name] = importlib.util.module_from_spec(described)
    before = {kind: set(known.entries) for kind, known in REGISTRIES.items()}
    try:
        described.loader.exec_module(module)
        for kind, known in REGISTRIES.items():  # a name that dlx has too shows only when dlx's own are imported
            if own := set(known.entries) - before[kind]:
                known.names()
                _look_at(known, sorted(own))
    except DlxError:
        raise
    except Exception as error:
        raise UsageError(f"--plugin {file}: {_reason(error, described.origin or '')}") from error


def _look_at(known: Registry, names: list[str]) -> None:
    """Refuse settings that no YAML could give, and warn of those that no YAML can reach."""
    for name in names:
        constructor, wanted = known.entries[name], known.signatures[name]
        for choice in wanted.choices.values():
            if fault := misdeclared(choice):
                raise UsageError(f"{place_of(constructor, choice.name)}: {known.kind} '{name}': {fault}")
        for fact in wanted.facts.values() if known is not processors else ():  # data sets make those by their own hand
            if fact.name not in FACTS and fact.default is not REQUIRED:
                told = (
                    "stands before the star, so a data set must give it, and none of dlx's does; settings stand behind a star"
                )
                log.warning("%s: %s '%s': '%s' %s", place_of(constructor, fact.name), known.kind, name, fact.name, told)


def _reason(error: Exception, file: str = "") -> str:
    """Say what an exception of somebody's code is, and the line it came from: the last one of `file`, if that is named."""
    frames = traceback.extract_tb(error.__traceback__)
    last = ([frame for frame in frames if frame.filename == file] or frames)[-1]
    place = f" ({last.filename}:{last.lineno})"
    return f"{type(error).__name__}: {error}{'' if isinstance(error, SyntaxError) else place}"


models = Registry("model", "dlx.models", "torch.nn:Module")
layers = Registry("layer", "dlx.layers", "torch.nn:Module")
tasks = Registry("task", "dlx.tasks", "dlx.core:Task")
sources = Registry("data set", "dlx.data", "dlx.core:Source")
processors = Registry("processor", "dlx.processors", "dlx.core:Processor")
metrics = Registry("metric", "dlx.metrics", "dlx.core:Metric")
optimizers = Registry("optimizer", "dlx.optimizers")
schedules = Registry("schedule", "dlx.schedules", "dlx.core:Schedule")
loggers = Registry("logger", "dlx.loggers", "dlx.core:Logger")
augmentations = Registry("augmentation", "dlx.augmentation")
_all = (models, layers, tasks, sources, processors, metrics, optimizers, schedules, loggers, augmentations)
REGISTRIES = {r.kind: r for r in _all}
