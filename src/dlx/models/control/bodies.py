"""What reads observations first: a list of layers, or any model by its name, as features for the layers after it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Annotated, Any

from pydantic import PositiveInt
from torch import nn

from dlx.errors import ComponentError, Fault, Marker, Path, unknown
from dlx.layers.activation import Activation, make_optional
from dlx.layers.shorthand import LAYERS
from dlx.layers.stack import infer_shape
from dlx.registry import models
from dlx.registry.shorthand import ListOf
from dlx.registry.signatures import Signature, check, signature
from dlx.registry.types import OptionGroup

LIST = ListOf(LAYERS)
UNREADABLE = (RuntimeError, TypeError, ValueError, IndexError, KeyError, AttributeError, NotImplementedError)


@dataclass(frozen=True)
class BodyOptions(OptionGroup):
    """How many numbers a model gives as a body, and what they pass through, beside the model's own settings."""

    features: PositiveInt = 64
    features_activation: Activation | None = "relu"


def _take(*, options: BodyOptions) -> None: ...


OPTIONS = signature(_take).choices


class OfLayersOrModel(Marker):
    """Marks a choice that is a list of layers, or a model by its name, with its settings and `BodyOptions`."""

    def check(self, value: Any, path: Path) -> tuple[Any, list[Fault]]:
        """Find every fault at its exact path; a model comes back with all its settings."""
        if isinstance(value, list):
            return LIST.check(value, path)
        given = {"name": value} if isinstance(value, str) else value
        name, place = given.get("name"), (*path, "name") if given is value and "name" in given else path
        if not isinstance(name, str) or name not in models:
            named = unknown("model", name, models.names()) if isinstance(name, str) else ""
            return value, [Fault(place, f"'{name}': {named}" if named else f"wants {self.describe()}")]
        wanted = Signature({}, {**models.signatures[name].choices, **OPTIONS})
        checked, faults = check(wanted, {key: one for key, one in given.items() if key != "name"}, path)
        return {"name": name, **checked}, faults

    def describe(self) -> str:
        """Say what is wanted."""
        return "a list of layers, or a model by its name, such as {name: mlp, hidden: [64], features: 64}"

    def json_schema(self) -> dict[str, Any]:
        """Allow a list of layers, the name of a model, and settings beside a name."""
        named = {"type": "object", "properties": {"name": {"type": "string"}}, "required": ["name"]}
        return {"anyOf": [LIST.json_schema(), {"type": "string"}, named]}

    def definitions(self) -> dict[str, dict[str, Any]]:
        """Return the schemas of layers."""
        return LIST.definitions()


Body = Annotated[list | str | dict[str, Any], OfLayersOrModel()]


def build_body(
    written: str | Mapping[str, Any], shape: Sequence[int], facts: Mapping[str, Any], path: Path
) -> tuple[dict[str, nn.Module], tuple[int, ...]]:
    """Build a model that gives features (size,) of observations, with weights of its own, and their activation.

    To the model the features are the classes or the outputs of its data. Raises ComponentError where it does not read such
    observations, or gives something else.
    """
    checked, faults = OfLayersOrModel().check(written, path)
    if faults:
        raise ComponentError(faults[0].message, faults[0].path)
    name, size = checked["name"], checked["features"]
    own = {**facts, "input_shape": list(shape), "num_classes": size, "num_outputs": size}
    if len(shape) == 1:
        own["num_features"] = shape[0]
    choices = {key: value for key, value in checked.items() if key not in ("name", *OPTIONS)}
    try:
        model: nn.Module = models.build(name, choices, own, "the environment")
    except ComponentError as error:
        raise ComponentError(error.message, (*path, *error.path)) from None
    _refuse_misfit(name, model, tuple(shape), size, path)
    activation = make_optional(checked["features_activation"], (size,))
    return {name: model} | ({} if activation is None else {"activation": activation}), (size,)


def _refuse_misfit(name: str, model: nn.Module, shape: tuple[int, ...], size: int, path: Path) -> None:
    try:
        found = infer_shape(model, shape)
    except UNREADABLE as error:
        told = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise ComponentError(f"the model '{name}' cannot read observations {shape}: {told}", path) from None
    if found != (size,):
        raise ComponentError(
            f"the model '{name}' gives {found} of observations {shape}, and features ({size},) are wanted", path
        )
