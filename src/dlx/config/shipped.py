"""The configs that come with dlx, by name."""

from __future__ import annotations

import os
from pathlib import Path

from dlx.errors import UsageError, meant, nearest

ENDING = ".yaml"


def folder() -> Path:
    """Return where they lie: in the installed package, or beside the sources."""
    package = Path(__file__).resolve().parents[1]
    installed = package / "configs"
    return installed if installed.is_dir() else package.parents[1] / "configs"


def names() -> list[str]:
    """List them by folder and name, such as `tabular/iris_mlp`."""
    home = folder()
    return sorted(file.relative_to(home).with_suffix("").as_posix() for file in home.glob(f"*/*{ENDING}"))


def find(name: str) -> Path | None:
    """Find one by its whole name, or by its last word where only one bears it; None where there is none."""
    wanted = name.removesuffix(ENDING).removeprefix("configs/")
    found = [known for known in names() if wanted in (known, known.rpartition("/")[2])]
    return folder() / f"{found[0]}{ENDING}" if len(found) == 1 else None


def get(name: str) -> Path:
    """Find one by name; raises UsageError that names the nearest."""
    if (found := find(name)) is None:
        raise UsageError(f"no config '{name}'; {near(name) or 'dlx configs names all there are'}")
    return found


def near(name: str) -> str:
    """Ask whether one of a similar name was meant; "" where there is none."""
    short = {known.rpartition("/")[2]: known for known in names()}
    return meant([short.get(word, word) for word in nearest(name.removesuffix(ENDING), [*short, *names()])])


def located(config: str) -> str:
    """Return a config's file as it was given, or that of the shipped one of this name where there is no such file.

    Raises UsageError where neither is there and a shipped one has almost this name.
    """
    if os.path.lexists(config):
        return config
    if found := find(config):
        return str(found)
    if told := near(config):
        raise UsageError(f"{config}: no such file; of the configs that come with dlx, {told}")
    return config


def about(name: str) -> str:
    """Return what its first line says of it."""
    with get(name).open(encoding="utf-8") as file:
        return file.readline().lstrip("# ").rstrip()
