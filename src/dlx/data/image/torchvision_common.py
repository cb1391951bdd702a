"""What the image sets of torchvision share: its own code finds, checks and downloads them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from dlx.core import Source
from dlx.data.image.listing import needed
from dlx.errors import ComponentError, UsageError
from dlx.registry import sources

FRACTION = 0.1  # of the training images, for validation where the set has no such split
SHARED_DOCSTRING = """\
`path` is the folder that torchvision calls root; `download: true` fetches what is not there. A split without files of its own
is drawn from the training images by `split_seed`, every class keeping its share. Other choices are as for image_folder."""


def missing(title: str, path: str, expected: str) -> ComponentError:
    """Say what files are not there, and what fetches them."""
    return ComponentError(f"no {title} in {path}: expected {expected}; download: true fetches it", ("path",))


def construct(cls: Any, title: str, path: str, expected: str, download: bool, **options: Any) -> Any:
    """Make torchvision's data set; raises ComponentError where the files are not there or not whole."""
    try:
        return cls(path, download=download, **options)
    except (RuntimeError, OSError) as error:
        if download:
            raise ComponentError(f"{title} cannot be downloaded to {path}: {error}", ("download",)) from None
        raise missing(title, path, expected) from None


def parts_of(own: Sequence[str], wanted: frozenset[str] | None) -> list[str]:
    """List the parts of a set that the wanted splits come from, in its order."""
    return [part for part in own if part in needed(own, "train", wanted)]


def refuse_other_classes(known: Sequence[str] | None, class_names: Sequence[str], name: str) -> None:
    """Raise UsageError where a model knows other classes than a set has."""
    if known is not None and list(known) != list(class_names):
        raise UsageError(f"the model was trained on other classes than {name} has: {', '.join(known[:5])}, ...")


def enter(name: str, make: Callable[..., Source], about: str) -> None:
    """Register a set under its name."""
    make.__doc__ = f"{about}\n\n{SHARED_DOCSTRING}"
    make.__name__ = make.__qualname__ = name
    sources(name)(make)
