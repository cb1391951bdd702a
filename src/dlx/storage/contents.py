"""What the files of a checkpoint say, held against what they must say before any of it is used.

A checksum finds damage and no forgery: whoever can write the files can write their sums. So every file that there must be
is asked for here, and the shape of facts, state and processor is checked, in one place and with one error.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, FiniteFloat, StringConstraints, ValidationError

from dlx.storage import manifest
from dlx.storage.manifest import CheckpointError
from dlx.storage.states import fault, told

REQUIRED = ("config.yaml", "facts.json", "model.safetensors", "optimizer.safetensors", "processor.json", "state.json")
LARGEST_SIZE = 2**31  # of a size or a count that a model may be built by
Count = Annotated[int, Field(ge=0, le=LARGEST_SIZE)]
Size = Annotated[int, Field(ge=1, le=LARGEST_SIZE)]
Name = Annotated[str, StringConstraints(min_length=1)]


class _Shape(BaseModel):
    """Plain values in strict mode; what is not named here may be there too, since plugins keep what they like."""

    model_config = ConfigDict(strict=True, extra="allow")


class Facts(_Shape):
    """What the data knew: docs/glossary.md."""

    seed: Count | None = None
    input_shape: list[Size] | None = None
    num_features: Size | None = None
    category_sizes: list[Size] | None = None
    vocab_size: Size | None = None
    in_channels: Size | None = None
    channel_mean: list[FiniteFloat] | None = None
    channel_std: list[FiniteFloat] | None = None
    num_classes: Size | None = None
    class_names: list[str] | None = None
    class_counts: list[Count] | None = None
    skipped_count: Count | None = None
    num_outputs: Size | None = None
    target_names: list[str] | None = None
    target_mean: list[FiniteFloat] | None = None
    target_std: list[FiniteFloat] | None = None


class Best(_Shape):
    """The best evaluation so far."""

    step: Annotated[int, Field(ge=0)]
    name: str
    value: FiniteFloat
    loss: FiniteFloat


class State(_Shape):
    """Where training stood."""

    step: Annotated[int, Field(ge=0)]
    seconds: FiniteFloat
    waited: Annotated[int, Field(ge=0)]
    best: Best | None
    totals: dict[str, Annotated[list[float], Field(min_length=2, max_length=2)]]
    monitor: str | None = None
    source: dict[str, Any]
    schedules: dict[str, dict[str, Any]]
    average_updates: Annotated[int, Field(ge=0)]
    compiles: bool | None = None
    optimizer: dict[str, bool | int | float | str | None]
    random: dict[str, str]
    resumable: bool = True  # whether it has all that training goes on from


class Kept(_Shape):
    """A processor by its name in the registry, and all that it needs."""

    name: Name
    state: dict[str, Any]


COUNTED = {"class_names": "num_classes", "class_counts": "num_classes", "channel_mean": "in_channels",
           "channel_std": "in_channels", "target_names": "num_outputs", "target_mean": "num_outputs",
           "target_std": "num_outputs"}  # fmt: skip


def read(folder: Path) -> dict[str, bytes]:
    """Read a checkpoint's files; raises CheckpointError unless all are there, as written, and say what they must."""
    files = manifest.read(folder)
    if lacking := [name for name in REQUIRED if name not in files]:
        raise _error(folder, lacking[0], "is missing: no checkpoint is without it")
    try:
        files["config.yaml"].decode()
    except UnicodeDecodeError as error:
        raise _error(folder, "config.yaml", f"is not UTF-8 at byte {error.start}") from None
    _checked(folder, "state.json", files["state.json"], State)
    facts = _facts(folder, files["facts.json"])
    _processor(folder, files["processor.json"], facts)
    return files


def state(folder: Path) -> dict[str, Any]:
    """Read where training stood when a checkpoint was saved; raises CheckpointError."""
    found: dict[str, Any] = _checked(folder, "state.json", manifest.read_one(folder, "state.json"), State)
    return found


def refuse_unresumable(folder: Path) -> str | None:
    """Say why training cannot go on from a valid checkpoint; None where it can."""
    if state(folder).get("resumable", True):
        return None
    return f"checkpoint {folder}: is for evaluating; it leaves out what the data source holds, such as a replay memory"


def _facts(folder: Path, content: bytes) -> Mapping[str, Any]:
    facts: Mapping[str, Any] = _checked(folder, "facts.json", content, Facts)
    for listed, count in COUNTED.items():
        if facts.get(listed) is not None and facts.get(count) not in (None, len(facts[listed])):
            raise _error(folder, "facts.json", f"{listed} has {len(facts[listed])} values, but {count} is {facts[count]}")
    return facts


def _processor(folder: Path, content: bytes, facts: Mapping[str, Any]) -> None:
    kept = _checked(folder, "processor.json", content, Kept, optional=True)
    if kept is None:
        return
    if found := fault(kept["name"], kept["state"], facts):
        raise _error(folder, "processor.json", found)


def _checked(folder: Path, name: str, content: bytes, shape: type[BaseModel], optional: bool = False) -> Any:
    try:
        document = json.loads(content)
    except (ValueError, RecursionError):
        raise _error(folder, name, "is no JSON that can be read") from None
    if document is None and optional:
        return None
    try:
        shape.model_validate(document)
    except ValidationError as error:
        raise _error(folder, name, told(error)) from None
    return document


def _error(folder: Path, name: str, message: str) -> CheckpointError:
    return CheckpointError(f"checkpoint {folder}: {name}: {message}")
