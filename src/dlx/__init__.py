"""dlx: one YAML file describes an experiment, one command trains it."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from dlx.commands.library import Run, evaluate, load, predict, train
    from dlx.errors import DlxError

__version__ = "0.1.0"
__all__ = ["DlxError", "Run", "__version__", "evaluate", "load", "predict", "train"]


def __getattr__(name: str) -> object:
    """Import what the package offers when it is first asked for: `import dlx` costs nothing."""
    if name == "DlxError":
        from dlx.errors import DlxError

        return DlxError
    if name in __all__:
        from dlx.commands import library

        return getattr(library, name)
    raise AttributeError(f"module 'dlx' has no attribute '{name}'")
