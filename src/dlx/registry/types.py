"""Types of choices that mean something to the machine: paths, and what asks for the network."""

from __future__ import annotations

import os
from typing import Annotated

from dlx.errors import Fault, Path


class OptionGroup:
    """Base of the frozen dataclasses whose fields lie flat among a component's settings in the YAML.

    A constructor that takes one, after its star, has all of its settings without repeating them: `*, batching: Batching`.
    """


class Request:
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
