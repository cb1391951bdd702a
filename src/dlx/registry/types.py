"""Types that mean more than a value: groups of facts or settings, paths, and what asks for the network."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterable
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


def misgrouped(group: type[Group], is_fact: bool, twice: Iterable[str]) -> str:
    """Say why a group cannot stand where it does; "" where it can."""
    name = group.__name__
    if "__dataclass_params__" not in vars(group):
        return f"the group {name} is no dataclass; write @dataclass(frozen=True) above it"
    if not issubclass(group, FactGroup if is_fact else OptionGroup):
        return f"the group {name} stands on the wrong side of the star: groups of facts before it, of settings behind it"
    return "".join(f"the group {name} has '{one}', which the constructor takes already" for one in sorted(twice)[:1])


class Request(Marker):
    """Marks a choice by which a config asks something of the machine: `asks_to` says what."""

    asks_to = ""

    def asks(self, value: object) -> bool:
        """Tell whether a value asks for anything."""
        return value is True or isinstance(value, str)


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
        return full, faults or ([] if self.exists(full) else [Fault(path, f"no {self.describe()} {full}", True)])

    def exists(self, full: str) -> bool:
        """Tell whether there is what a full path names."""
        return os.path.exists(full)


class ExistingPathOr(ExistingPath):
    """Marks a choice that names a file or folder, which must exist, or is a word that stands for something else."""

    def __init__(self, word: str) -> None:
        self.word = word

    def check(self, value: str, path: Path) -> tuple[str, list[Fault]]:
        if value == self.word:
            return value, []
        full, faults = super().check(value, path)
        return full, [Fault(one.path, f"{one.message}, and not '{self.word}'", one.absent_file) for one in faults]

    def asks(self, value: object) -> bool:
        return value != self.word and super().asks(value)


class ExistingFiles(ExistingPath):
    """Marks a choice that names a file, or several by a pattern such as `part-*.txt`; there must be one at least."""

    def exists(self, full: str) -> bool:
        return bool(matching(full))

    def describe(self) -> str:
        """Say what is wanted."""
        return "file or pattern of files"


def matching(pattern: str) -> list[str]:
    """List the files that a name or a pattern means, in the order of their names."""
    return [pattern] if os.path.exists(pattern) else sorted(glob.glob(pattern))


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
DataFiles = Annotated[str, ExistingFiles()]
Download = Annotated[bool, Network()]
