"""Weights from elsewhere: a file's tensors into a model, by name or else by order, and a report of what went where."""

from __future__ import annotations

import logging
import os
import pickle
import re
import warnings
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field, replace
from itertools import pairwise
from typing import Any

import torch
from torch import Tensor

from dlx.errors import ComponentError, Fault, Marker, Path, meant, nearest
from dlx.storage import failures

SUFFIXES = (".safetensors", ".pt", ".pth")
ENTRIES = ("state_dict", "model_state_dict", "model", "module", "net", "network", "weights")  # where tools put the tensors
PREFIXES = ("module.", "_orig_mod.", "model.", "net.", "network.")  # what wrappers put before every name
COUNTER = "num_batches_tracked"  # batch norm's: old files lack it, and it matters only with momentum: null
FLOATS = (torch.float64, torch.float32, torch.float16, torch.bfloat16)  # those of 8 bits mean nothing without their scales
TENSORS_OF_A_LAYER = ("weight", "bias", "running_mean", "running_var")  # the order of a layer's tensors in PyTorch

log = logging.getLogger("dlx")
_withheld: ContextVar[bool] = ContextVar("withheld", default=False)


@contextmanager
def withheld() -> Iterator[None]:
    """Let models be built without foreign weights: a checkpoint is about to fill them."""
    token = _withheld.set(True)
    try:
        yield
    finally:
        _withheld.reset(token)


def are_withheld() -> bool:
    """Tell whether models are to be built without foreign weights."""
    return _withheld.get()


class Choice(Marker):
    """Marks a choice of weights: `none`, `imagenet`, a name of torchvision's such as IMAGENET1K_V2, or a file."""

    def check(self, value: str, path: Path) -> tuple[str, list[Fault]]:
        """Make a file's path absolute; that it exists matters only where it is read, not where a checkpoint is."""
        if value in ("none", "imagenet") or re.fullmatch("[A-Z][A-Z0-9_]+", value):
            return value, []
        full = os.path.abspath(os.path.expanduser(os.path.expandvars(value)))
        if "$" in full:
            return full, [Fault(path, f"{value}: the environment variable is not set")]
        if not value.endswith(SUFFIXES):
            near = meant(nearest(value, ["none", "imagenet"]))
            return value, [Fault(path, f"wants {self.describe()}, not {value!r}" + (f"; {near}" if near else ""))]
        return full, []

    def describe(self) -> str:
        """Say what is wanted."""
        return f"none, imagenet or a file ({', '.join(SUFFIXES)})"


@dataclass(frozen=True)
class Weights:
    """Tensors by their names in a file; `ordered` where the file keeps the order of the network they come from."""

    file: str
    tensors: dict[str, Tensor]
    ordered: bool = True


@dataclass(frozen=True)
class Leeway:
    """How far a file may differ from the model it is loaded into."""

    missing: Collection[str] = ()  # names of the model that the file may lack: the head
    resized: Collection[str] = ()  # names that may have another shape in the file, and then stay as they are
    left_over: Collection[str] = ()  # names that only the file has: a head the model goes without


@dataclass(frozen=True)
class Report:
    """What went where."""

    file: str
    how: str  # "name" or "order"
    matched: list[tuple[str, str]]  # (the model's name, the file's name)
    missing: list[str] = field(default_factory=list)
    resized: list[str] = field(default_factory=list)
    left_over: list[str] = field(default_factory=list)

    def lines(self) -> list[str]:
        """Tell it in a few lines."""
        told = [f"weights from {self.file}: {len(self.matched)} tensors matched by {self.how}"]
        kinds = {"not in the file, left at their random values": self.missing}
        kinds["of another shape in the file, left at their random values"] = self.resized
        kinds["in the file but not in the model, left out"] = self.left_over
        return told + [f"  {len(names)} {kind}: {_some(names)}" for kind, names in kinds.items() if names]


class _NoMatch(Exception):
    """One way of matching fails; the message says where."""


def read(file: str) -> Weights:
    """Read the tensors of a .safetensors, .pt or .pth file, never running its code; raises ComponentError."""
    if not os.path.isfile(file):
        raise _misfit(file, "no such file")
    if not file.endswith(SUFFIXES):
        raise _misfit(file, f"weights are read from {', '.join(SUFFIXES)}")
    if file.endswith(".safetensors"):
        tensors = _read_safetensors(file)
        _refuse_strange(file, tensors)
        return Weights(file, tensors, ordered=False)
    try:
        with warnings.catch_warnings(action="ignore"):  # of torch's, about files that are refused below
            content = torch.load(file, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        reason = "holds more than tensors, or is damaged; what is read is the file of torch.save(model.state_dict(), FILE)"
        raise _misfit(file, reason) from None
    except Exception as error:  # a damaged file fails in as many ways as there are bytes in it
        raise _misfit(file, f"cannot be read: {failures.reason(error)}") from None
    return from_mapping(content, file)


def _read_safetensors(file: str) -> dict[str, Tensor]:
    import safetensors.torch

    try:
        return safetensors.torch.load_file(file)
    except Exception as error:
        raise _misfit(file, f"cannot be read: {failures.reason(error)}") from None


def from_mapping(content: Any, file: str) -> Weights:
    """Find the tensors in what a file holds: at the top, or under one of the usual entries."""
    for _ in range(3):
        if not isinstance(content, Mapping):
            break
        tensors = {str(name): value for name, value in content.items() if isinstance(value, Tensor)}
        entry = next((e for e in ENTRIES if isinstance(content.get(e), Mapping)), None)
        if tensors and entry is None:
            _refuse_strange(file, tensors)
            return Weights(file, tensors)
        content = content.get(entry)
    raise _misfit(file, "holds no tensors by name")


def _refuse_strange(file: str, tensors: Mapping[str, Tensor]) -> None:
    """Refuse what stands for numbers without being a plain array of them: sparse, quantised, without a storage."""
    for name, value in tensors.items():
        if value.layout != torch.strided or value.is_quantized or value.device.type != "cpu":
            kind = "quantised" if value.is_quantized else str(value.layout).removeprefix("torch.")
            raise _misfit(file, f"'{name}' is no plain tensor but {kind} on '{value.device.type}'; save it as float numbers")


def _refuse_kinds(wanted: Mapping[str, Tensor], given: Weights, matched: list[tuple[str, str]]) -> None:
    """Refuse numbers of another kind: what copying turns 300 into, or a scale that the file keeps elsewhere, no one knows."""
    for own, name in matched:
        kinds = wanted[own].dtype, given.tensors[name].dtype
        if kinds[0] != kinds[1] and not (kinds[0].is_floating_point and kinds[1] in FLOATS):
            words = " for ".join(str(kind).removeprefix("torch.") for kind in reversed(kinds))
            raise _misfit(given.file, f"'{name}' holds numbers of another kind than '{own}' of the model: {words}")


def load(wanted: Mapping[str, Tensor], given: Weights, leeway: Leeway = Leeway()) -> Report:
    """Copy tensors into those of a model, in place, and log the report.

    Every name of the model must find its tensor, by name, else by order and shape: all or, but for the leeway, nothing.
    Raises ComponentError with the first differences.
    """
    given = replace(given, tensors=_unwrapped(given.tensors, wanted))
    try:
        report = _by_name(wanted, given, leeway)
    except _NoMatch as by_name:
        try:
            report = _by_order(wanted, given, leeway)
        except _NoMatch as by_order:
            raise _misfit(given.file, f"does not fit the model: by name, {by_name}; by order, {by_order}") from None
    _refuse_kinds(wanted, given, report.matched)
    with torch.no_grad():
        for own, name in report.matched:
            wanted[own].copy_(given.tensors[name])
    for line in report.lines():
        log.info(line)
    return report


def _unwrapped(tensors: dict[str, Tensor], wanted: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Take off what wrappers put before every name, unless the model's own names begin so too."""
    for prefix in PREFIXES * 2:
        if all(name.startswith(prefix) for name in tensors) and not all(name.startswith(prefix) for name in wanted):
            tensors = {name.removeprefix(prefix): value for name, value in tensors.items()}
    return tensors


def _by_name(wanted: Mapping[str, Tensor], given: Weights, leeway: Leeway) -> Report:
    both = [name for name in wanted if name in given.tensors]
    differing = [name for name in both if wanted[name].shape != given.tensors[name].shape]
    missing = [name for name in wanted if name not in given.tensors and not name.endswith(COUNTER)]
    left_over = [name for name in given.tensors if name not in wanted]
    if wrong := [name for name in missing if name not in leeway.missing]:
        raise _NoMatch(f"{len(wrong)} of {len(wanted)} are missing ({_some(wrong)})")
    if wrong := [name for name in differing if name not in leeway.resized]:
        raise _NoMatch(_shapes(wrong[0], wanted[wrong[0]], given.tensors[wrong[0]]))
    if wrong := [name for name in left_over if name not in leeway.left_over]:
        raise _NoMatch(f"the file has {len(wrong)} more ({_some(wrong)})")
    if not set(both) - set(differing):
        raise _NoMatch("none match")
    matched = [(name, name) for name in both if name not in differing]
    return Report(given.file, "name", matched, missing, differing, left_over)


def _by_order(wanted: Mapping[str, Tensor], given: Weights, leeway: Leeway) -> Report:
    own = [name for name in wanted if not name.endswith(COUNTER)]
    names = [name for name in given.tensors if not name.endswith(COUNTER)]
    names = names if given.ordered else _numbered(names)
    matched, resized = [], []
    for mine, name in zip(own, names, strict=False):
        _check_pair(mine, name, wanted)
        if wanted[mine].shape == given.tensors[name].shape:
            matched.append((mine, name))
        elif mine in leeway.resized:
            resized.append(mine)
        else:
            raise _NoMatch(f"after {len(matched)}, " + _shapes(mine, wanted[mine], given.tensors[name], name))
    missing, left_over = own[len(names) :], names[len(own) :]
    if wrong := [name for name in missing if name not in leeway.missing]:
        raise _NoMatch(f"the file ends {len(wrong)} tensors before the model ({_some(wrong)})")
    if len(left_over) > len(leeway.left_over):
        raise _NoMatch(f"the file has {len(left_over)} more ({_some(left_over)})")
    return Report(given.file, "order", matched, missing, resized, left_over)


def _check_pair(mine: str, name: str, wanted: Mapping[str, Tensor]) -> None:
    """Refuse what has the right shape by chance: a bias for a weight, or a name that the model has elsewhere in that shape."""
    ends = [n.rpartition(".")[2] for n in (mine, name)]
    elsewhere = name != mine and name in wanted and wanted[name].shape == wanted[mine].shape
    if elsewhere or (ends[0] != ends[1] and set(ends) <= set(TENSORS_OF_A_LAYER)):
        raise _NoMatch(f"'{name}' stands where '{mine}' should")


def _numbered(names: list[str]) -> list[str]:
    """Order names by the numbers in them; where words differ, their order is not the network's."""
    layers: dict[str, list[str]] = {}
    for name in names:
        layer, _, part = name.rpartition(".")
        layers.setdefault(layer if part in TENSORS_OF_A_LAYER else name, []).append(name)
    keys = sorted(layers, key=lambda layer: [int(n) for n in re.findall(r"\d+", layer)])
    if not _told_by_numbers(keys):
        raise _NoMatch("a safetensors file keeps none, and its names do not number the layers")
    rank = {part: place for place, part in enumerate(TENSORS_OF_A_LAYER)}
    return [name for layer in keys for name in sorted(layers[layer], key=lambda n: rank.get(n.rpartition(".")[2], 9))]


def _told_by_numbers(layers: list[str]) -> bool:
    """Tell whether each layer's name differs from the next one's first in a number."""
    for one, other in pairwise(layers):
        pairs = zip(re.findall(r"\d+|\D+", one), re.findall(r"\d+|\D+", other), strict=False)
        first = next((pair for pair in pairs if pair[0] != pair[1]), None)
        if first is None or not (first[0].isdigit() and first[1].isdigit()):
            return False
    return True


def _shapes(mine: str, own: Tensor, given: Tensor, name: str = "") -> str:
    return f"'{mine}' is {tuple(own.shape)} and {repr(name) if name else 'the file'} has {tuple(given.shape)}"


def _some(names: Collection[str]) -> str:
    return ", ".join(list(names)[:3]) + (", ..." if len(names) > 3 else "")


def _misfit(file: str, reason: str) -> ComponentError:
    return ComponentError(f"{file}: {reason}", ("weights",))
