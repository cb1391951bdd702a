"""Types of choices that mean something to the machine: paths, and what asks for the network."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import Annotated

from dlx.errors import Fault, Marker, Path


@dataclass(frozen=True)
class Group:
    """Base of the frozen dataclasses by which a constructor takes several facts, or several settings, as one parameter.

    Before the star its fields are facts, after it they lie flat among the component's settings in the YAML.
    """


@dataclass(frozen=True)
class FactGroup(Group):
    """Base of groups of facts: `def __init__(self, images: ImageFacts, *, ...)`."""


@dataclass(frozen=True)
class OptionGroup(Group):
    """Base of groups of settings that many components share: `def __init__(self, seed: int, *, batching: Batching)`."""


class Request(Marker):
    """Marks a choice by which a config asks something of the machine: `asks_to` says what."""

    asks_to = ""


class AnyPath(Request):
    """Marks a choice that names a file or folder: `~` and `$VARIABLES` are expanded, and the full path is kept."""

    asks_to = "read"

    def check(self, value: str, path: Path) -> tuple[str, list[Fault]]:
        full = os.path.abspath(os.path.expanduser(os.path.expandvars(value)))
        return full, [Fault(path, f"{value}: the environment variable is not set")] if "$" in full else []

    def describe(self) -> str:
        """Say what is wanted."""
        return "file or folder"


class ExistingPath(AnyPath):
    """Marks a choice that names a file or folder, which must exist."""

    def check(self, value: str, path: Path) -> tuple[str, list[Fault]]:
        full, faults = super().check(value, path)
        return full, faults or ([] if os.path.exists(full) else [Fault(path, f"no file or folder {full}", True)])


class Network(Request):
    """Marks a choice that, where it is true, asks for the network."""

    asks_to = "download"

    def check(self, value: bool, path: Path) -> tuple[bool, list[Fault]]:
        return value, []

    def describe(self) -> str:
        """Say what is wanted."""
        return "true or false"


SomePath = Annotated[str, AnyPath()]
DataPath = Annotated[str, ExistingPath()]
Download = Annotated[bool, Network()]
