"""Environments by their names in gymnasium (extra: control)."""

from __future__ import annotations

import importlib
import importlib.util
import re
import warnings
from collections.abc import Iterable, Mapping
from typing import Any

from dlx.errors import ComponentError, meant, nearest

# Packages whose environments are in gymnasium's register once they are imported, and how the names of some of them begin.
PACKAGES = {
    "gymnasium_robotics": ("gymnasium-robotics", r"Fetch|Hand(Reach|Manipulate)|Adroit|AntMaze|PointMaze|FrankaKitchen"),
    "highway_env": ("highway-env", r"(parking|highway|merge|roundabout|intersection|racetrack|lane-keeping|u-turn|exit)-"),
    "ale_py": ("ale-py", r"ALE/"),
    "minigrid": ("minigrid", r"MiniGrid-|BabyAI-"),
}


def library() -> Any:
    """Import gymnasium; raises ComponentError where the extra is not installed."""
    try:
        import gymnasium
    except ImportError:
        raise ComponentError("needs the extra 'control': pip install 'dlx[control]'") from None
    return gymnasium


def registered(name: str) -> Any:
    """Import gymnasium and, where it does not know an environment itself, all packages beside it that are installed."""
    gymnasium = library()
    if name not in gymnasium.registry:
        for package in filter(importlib.util.find_spec, PACKAGES):
            importlib.import_module(package)
    return gymnasium


def make(name: str, settings: Mapping[str, Any]) -> Any:
    """Make an environment; raises ComponentError where there is none of that name, or none with these settings."""
    gymnasium = registered(name)
    if name not in gymnasium.registry:
        raise ComponentError(f"'{name}': {_unknown(name, gymnasium.registry)}", ("environment",))
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # such as that there is a newer version
            return gymnasium.make(name, **{"disable_env_checker": True, **settings})
    except (ImportError, gymnasium.error.DependencyNotInstalled) as error:
        raise ComponentError(f"'{name}' lacks a package: {_first_line(error)}", ("environment",)) from None
    except Exception as error:  # whatever an environment says of settings that it does not take
        place = ("settings",) if settings else ("environment",)
        raise ComponentError(f"'{name}' cannot be made: {type(error).__name__}: {_first_line(error)}", place) from None


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


def _unknown(name: str, known: Iterable[str]) -> str:
    """Say that there is no such environment, and which was meant or where it comes from."""
    for package, (distribution, pattern) in PACKAGES.items():
        if re.match(pattern, name) and not importlib.util.find_spec(package):
            return f"unknown environment; it comes with another package: pip install {distribution}"
    names = list(known)
    bases = {one: re.sub(r"-v\d+$", "", one).lower() for one in names}
    wanted = re.sub(r"-v\d+$", "", name).lower()
    same = [one for one, base in bases.items() if base == wanted]
    near = same[-1:] or nearest(name, names) or [one for one, base in bases.items() if base in nearest(wanted, bases.values())]
    if near:
        return f"unknown environment; {meant(near[:3])}"
    return f"unknown environment; gymnasium has {len(names)}, such as {', '.join(names[:4])}"
