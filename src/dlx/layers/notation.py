"""How a list of layers is written in a config, and what is wrong with one that is not written so.

A layer is a word (`flatten`), a word and its first setting (`dense: 64`), or a word and its settings
(`dense: {size: 64, activation: relu}`).
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any

from pydantic import PositiveInt

from dlx import registry
from dlx.errors import Fault, Path, unknown
from dlx.registry import REQUIRED, layers

# What other tools call our layers, where spelling alone would not find them; lower case, no underscores.
FOREIGN = {
    "linear": "dense", "fc": "dense", "fullyconnected": "dense", "conv": "conv2d", "convolution": "conv2d",
    "maxpool1d": "max_pool", "maxpool2d": "max_pool", "maxpooling1d": "max_pool", "maxpooling2d": "max_pool",
    "avgpool1d": "avg_pool", "avgpool2d": "avg_pool", "averagepooling1d": "avg_pool", "averagepooling2d": "avg_pool",
    "globalaveragepooling1d": "global_avg_pool", "globalaveragepooling2d": "global_avg_pool",
    "adaptiveavgpool2d": "global_avg_pool", "globalmaxpooling1d": "global_max_pool", "globalmaxpooling2d": "global_max_pool",
    "batchnormalization": "batch_norm", "batchnorm1d": "batch_norm", "batchnorm2d": "batch_norm", "bn": "batch_norm",
    "layernormalization": "layer_norm", "groupnormalization": "group_norm", "swish": "silu", "rnn": "simple_rnn",
    "conv2dtranspose": "conv_transpose2d", "convtranspose2d": "conv_transpose2d", "upsampling2d": "upsample",
    "unflatten": "reshape", "multiheadattention": "attention", "repeatvector": "repeat", "gaussiannoise": "noise",
    "skip": "residual",
}  # fmt: skip


@dataclass(frozen=True)
class Written:
    """One layer as a config writes it; `short` names the setting that stands without its name."""

    name: str
    choices: Mapping[str, Any] = field(default_factory=dict)
    short: str = ""

    def place(self, path: Path, inner: Path = ()) -> Path:
        """Give the path of something within the layer: the short form has no key for its setting."""
        return (*path, self.name, *(inner[1:] if self.short and inner[:1] == (self.short,) else inner))


def read(item: str | Mapping[str, Any]) -> Written:
    """Read one entry of a list of layers; raises Misfit on an unknown name."""
    name, value = (item, None) if isinstance(item, str) else next(iter(item.items()))
    layers.get(name)
    wanted = layers.signatures[name].choices
    if value is None:
        return Written(name)
    if not wanted or (isinstance(value, Mapping) and not (_holds_layer(wanted) and not any(key in wanted for key in value))):
        return Written(name, value)
    first = next(iter(wanted))
    return Written(name, {first: value}, first)


def _holds_layer(wanted: Mapping[str, registry.Parameter]) -> bool:
    return any(isinstance(marker, OneLayer) for marker in registry.markers(next(iter(wanted.values())).annotation))


def check_layer(item: Any, path: Path, among: tuple[str, ...] = ()) -> list[Fault]:
    """Find what is wrong with one entry, without knowing the data."""
    if isinstance(item, dict) and len(item) > 1:
        keys = [str(key) for key in item]
        return [Fault(path, f"wants one layer, but has the keys {', '.join(keys)}; indent the settings under '{keys[0]}'")]
    if not item or not isinstance(item, (str, dict)):
        return [Fault(path, f"wants a layer's name or a mapping {{name: settings}}, not {item!r}")]
    name = item if isinstance(item, str) else next(iter(item))
    at = (*path, name)
    if name not in layers.names():
        return [Fault(at, _unknown(str(name)))]
    if among and name not in among:
        return [Fault(at, f"wants one of {', '.join(among)}")]
    written = read(item)
    if not isinstance(written.choices, Mapping):
        return [Fault(at, f"takes no settings, not {written.choices!r}")]
    _, faults = registry.check(layers.signatures[name], written.choices)
    return [Fault(written.place(path, fault.path), fault.message) for fault in faults]


def _unknown(name: str) -> str:
    known = FOREIGN.get(name.lower().replace("_", ""))
    return f"unknown layer; did you mean '{known}'?" if known else unknown("layer", name, layers.names())


class Layers:
    """Marks a choice that is a list of layers."""

    def check(self, value: list[Any], path: Path) -> tuple[list[Any], list[Fault]]:
        """Find every fault of a list at its exact path; the list comes back as it was written."""
        if not value:
            return value, [Fault(path, "wants at least one layer")]
        return value, [fault for i, item in enumerate(value) for fault in check_layer(item, (*path, i))]

    def describe(self) -> str:
        """Say what is wanted."""
        return "list of layers"

    def json_schema(self) -> dict[str, Any]:
        """Refer to the schema that `definitions` holds."""
        return {"$ref": "#/$defs/layers"}

    def definitions(self) -> dict[str, dict[str, Any]]:
        """Give the schemas of a layer and of a list of them, made from the layers' signatures."""
        return {"layers": {"type": "array", "minItems": 1, "items": {"$ref": "#/$defs/layer"}}, "layer": _layer_schema()}


@dataclass(frozen=True)
class OneLayer:
    """Marks a choice that is a single layer, one of those named."""

    among: tuple[str, ...]

    def check(self, value: Any, path: Path) -> tuple[Any, list[Fault]]:
        """Find every fault of the layer at its exact path."""
        return value, check_layer(value, path, self.among)

    def describe(self) -> str:
        """Say what is wanted."""
        return f"a layer: {', '.join(self.among)}"

    def json_schema(self) -> dict[str, Any]:
        """Allow the named layers only."""
        return {"allOf": [{"$ref": "#/$defs/layer"}], "propertyNames": {"enum": [*self.among]}}

    def definitions(self) -> dict[str, dict[str, Any]]:
        """Give the schemas that `json_schema` refers to."""
        return Layers().definitions()


class FactOrNumber:
    """Marks a size: a number, or the name of a fact that is one."""

    def check(self, value: Any, path: Path) -> tuple[Any, list[Fault]]:
        """Refuse text that cannot be a fact's name, such as a number in quotes."""
        if isinstance(value, str) and not value.isidentifier():
            return value, [Fault(path, f"wants {self.describe()}, not {value!r}")]
        return value, []

    def describe(self) -> str:
        """Say what is wanted."""
        return "whole number greater than 0 or a fact's name"


LayerList = Annotated[list, Layers()]
Size = Annotated[PositiveInt | str, FactOrNumber()]


def _layer_schema() -> dict[str, Any]:
    wanted = {name: layers.signatures[name].choices for name in layers.names()}
    bare = [name for name, choices in wanted.items() if all(p.default is not REQUIRED for p in choices.values())]
    settings = {name: _settings_schema(choices) | {"description": layers.summary(name)} for name, choices in wanted.items()}
    long = {"type": "object", "properties": settings, "additionalProperties": False, "minProperties": 1, "maxProperties": 1}
    return {"anyOf": [{"enum": bare}, long]}


def _settings_schema(wanted: Mapping[str, registry.Parameter]) -> dict[str, Any]:
    properties = {name: _choice_schema(parameter) for name, parameter in wanted.items()}
    required = [name for name, parameter in wanted.items() if parameter.default is REQUIRED]
    options: list[dict[str, Any]] = [{"type": "object", "properties": properties, "additionalProperties": False}]
    if required:
        options[0]["required"] = required
    else:
        options.append({"type": "null"})
    first = next(iter(wanted), "")
    if first and not set(required) - {first}:
        options.insert(0, properties[first])
    return {"anyOf": options}


def _choice_schema(parameter: registry.Parameter) -> dict[str, Any]:
    hooked = [m.json_schema() for m in registry.markers(parameter.annotation) if hasattr(m, "json_schema")]
    schema = hooked[0] if hooked else registry.adapter(parameter.annotation).json_schema()
    return schema if parameter.default is REQUIRED else {**schema, "default": parameter.default}
