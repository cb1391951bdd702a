"""Names to constructors, and a constructor's signature as the schema of its settings."""

from dlx.registry.registry import (
    FACTS,
    REGISTRIES,
    Registry,
    augmentations,
    layers,
    load_entry_points,
    load_plugin,
    loggers,
    metrics,
    models,
    optimizers,
    processors,
    schedules,
    sources,
    tasks,
)

__all__ = [
    "FACTS",
    "REGISTRIES",
    "Registry",
    "augmentations",
    "layers",
    "load_entry_points",
    "load_plugin",
    "loggers",
    "metrics",
    "models",
    "optimizers",
    "processors",
    "schedules",
    "sources",
    "tasks",
]
