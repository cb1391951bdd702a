"""Names to constructors."""

from __future__ import annotations

import importlib
import importlib.metadata
import importlib.util
import inspect
import os
import pkgutil
import sys
import traceback
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from functools import cache
from typing import Any, Self

from dlx.errors import DlxError, Misfit, Path, UsageError, unknown
from dlx.signatures import REQUIRED, Signature, signature


class Registry:
    """The constructors of one kind by name, found by importing the package's modules, whole only where it must be."""

    def __init__(self, kind: str, package: str) -> None:
        self.kind, self.package = kind, package
        self.entries: dict[str, Callable] = {}
        self.signatures: dict[str, Signature] = {}
        self.loaded = False

    def __call__(self, name: str) -> Callable[[Any], Any]:
        def add(constructor: Any) -> Any:
            self.adopt(name, constructor)
            return constructor

        return add

    def adopt(self, name: str, constructor: Callable, facts: Iterable[str] | None = None, hidden: Iterable[str] = ()) -> None:
        """Enter a constructor; one written elsewhere says which of its parameters are facts."""
        if name in self.entries:
            raise ValueError(f"{self.kind} '{name}' is already registered")
        self.entries[name] = constructor
        self.signatures[name] = signature(constructor, facts, hidden)

    def names(self) -> list[str]:
        """List every name, after importing the registry's folder and the installed plugins."""
        if not self.loaded:
            self.loaded = True
            for module in self.modules():
                importlib.import_module(f"{self.package}.{module}")
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
        return [module.name for module in pkgutil.iter_modules(importlib.import_module(self.package).__path__)]

    def __contains__(self, name: Any) -> bool:
        if not isinstance(name, str):
            return False
        # Module by module, those whose name resembles it first: some cost seconds to import.
        if name not in self.entries and not self.loaded:
            for module in sorted(self.modules(), key=lambda m: m not in name and name not in m):
                importlib.import_module(f"{self.package}.{module}")
                if name in self.entries:
                    break
            else:
                self.names()
        return name in self.entries

    def get(self, name: str, path: Path = ()) -> Callable:
        """Find a constructor; an unknown name is a Misfit at `path`."""
        if name not in self:
            raise Misfit(f"'{name}': {unknown(self.kind, name, self.names())}", path)
        return self.entries[name]

    def summary(self, name: str) -> str:
        """Quote the first line of a constructor's docstring."""
        return (inspect.getdoc(self.get(name)) or "").partition("\n")[0]

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
                offered = ", ".join(sorted(f for f in facts if f not in ("seed", "model")))
                raise Misfit(f"{self.kind} '{name}' needs the fact '{fact.name}'; {source} offers {offered}")
        return constructor(**given, **choices)


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
            if set(known.entries) - before[kind]:
                known.names()
    except DlxError:
        raise
    except Exception as error:
        raise UsageError(f"--plugin {file}: {_reason(error)}") from error


def _reason(error: Exception) -> str:
    """Say what an exception of somebody's file is, and the line of the file it came from."""
    last = traceback.extract_tb(error.__traceback__)[-1]
    place = f" ({last.filename}:{last.lineno})"
    return f"{type(error).__name__}: {error}{'' if isinstance(error, SyntaxError) else place}"


models = Registry("model", "dlx.models")
layers = Registry("layer", "dlx.layers")
tasks = Registry("task", "dlx.tasks")
sources = Registry("data set", "dlx.data")
processors = Registry("processor", "dlx.processors")
metrics = Registry("metric", "dlx.metrics")
optimizers = Registry("optimizer", "dlx.optimizers")
schedules = Registry("schedule", "dlx.schedules")
loggers = Registry("logger", "dlx.loggers")
augmentations = Registry("augmentation", "dlx.augmentation")
_all = (models, layers, tasks, sources, processors, metrics, optimizers, schedules, loggers, augmentations)
REGISTRIES = {r.kind: r for r in _all}
