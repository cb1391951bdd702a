"""A list of layers to a module whose sizes are inferred one layer after the other."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from dlx.errors import ComponentError, Path, dotted, unknown
from dlx.layers.building import LayerShapeError, Shape
from dlx.layers.lengths import ReadsLength, filled, stays_padded
from dlx.layers.shorthand import FactOrNumber, LayerList, OneLayer, Size, Written, read
from dlx.registry import layers
from dlx.registry.signatures import markers

__all__ = ["LayerList", "OneLayer", "PaddedStack", "Row", "Size", "Stack", "assemble", "build_stack", "shaping"]


@dataclass(frozen=True)
class Row:
    """One layer of a stack; shapes are those of one sample."""

    name: str
    path: Path
    input_shape: Shape
    output_shape: Shape
    parameters: int


class Stack(nn.Sequential):
    """Layers in order; `layout` has a row for each.

    The key of layer 3 in the state dict is `3_dense.weight`; what a layer brings beside its main module is
    named after its part, such as `3_separable_conv2d_pointwise.weight`.
    """

    def __init__(self, modules: Mapping[str, nn.Module], layout: Iterable[Row] = ()) -> None:
        super().__init__(OrderedDict(modules))
        self.layout = list(layout)


class PaddedStack(Stack, ReadsLength):
    """Layers in order over sequences that are padded: an answer does not depend on what lies behind a sequence's end.

    input (B, T, ...), length int64 (B,); without lengths all steps count. Padded steps are 0 after every layer. It is a class
    of its own since a stack without lengths has nothing to do but to call its layers.
    """

    def __init__(self, modules: Mapping[str, nn.Module], layout: Iterable[Row] = ()) -> None:
        super().__init__(modules, layout)
        self.reading = [module for module in self if isinstance(module, ReadsLength)]
        self.keeps_steps = all(module.keeps_steps for module in self.reading)

    def forward(self, input: Tensor, length: Tensor | None = None) -> Tensor:
        for module in self:
            if length is None:
                input = module(input)
                continue
            if isinstance(module, ReadsLength):
                input = module(input, length)
                length = module.output_length(length) if module.keeps_steps else None
            else:
                input = module(input)
            input = input if length is None else filled(input, length, 0)
        return input

    def output_length(self, length: Tensor) -> Tensor:
        for module in self.reading:
            length = module.output_length(length)
        return length


def shaping(layout: Sequence[Row]) -> Path:
    """Return the path of the layer, of one or more, that gave the output its shape."""
    rows = [row for row in layout if row.parameters or row.input_shape != row.output_shape]
    return (rows or layout)[-1].path


def build_stack(
    specs: Sequence[Any], input_shape: Sequence[int], facts: Mapping[str, Any], path: Path = (), origin: str = "the data"
) -> Stack:
    """Build the layers a config lists; `path` is where the list stands, `origin` says what the first one reads.

    Where the fact `padded` says that the input is padded, it is a PaddedStack. Raises ComponentError at the layer that does
    not fit the one before it.
    """
    kind = PaddedStack if facts.get("padded") else Stack
    return kind(*assemble(specs, input_shape, facts, path, origin))


def assemble(
    specs: Sequence[Any], input_shape: Sequence[int], facts: Mapping[str, Any], path: Path = (), origin: str = "the data"
) -> tuple[dict[str, nn.Module], list[Row]]:
    """Build the layers a config lists: the modules by their key, and a row for each layer.

    To each layer the fact `padded` tells whether its own input still is.
    """
    modules: dict[str, nn.Module] = {}
    layout: list[Row] = []
    shape, padded = tuple(input_shape), bool(facts.get("padded"))
    for index, item in enumerate(specs):
        written = read(item)
        source = dotted((*(path[-1:] or ("layers",)), index - 1, layout[-1].name)) if layout else origin
        module, output_shape = _fit(written, shape, {**facts, "padded": padded}, (*path, index), source)
        parts = _keyed(f"{index}_{written.name}", module)
        padded = padded and _stays_padded(parts, shape, output_shape, written.place((*path, index)))
        modules |= parts
        count = sum(p.numel() for p in module.parameters())
        layout.append(Row(written.name, (*path, index, written.name), shape, output_shape, count))
        shape = output_shape
    return modules, layout


def _fit(written: Written, shape: Shape, facts: Mapping[str, Any], path: Path, source: str) -> tuple[nn.Module, Shape]:
    try:
        module = build_layer(written, shape, facts)
        return module, infer_shape(module, shape)
    except LayerShapeError as error:
        message = f"wants {error.wants}, but gets {shape} from {source}"
        raise ComponentError(message, written.place(path, error.path)) from None
    except ComponentError as error:
        raise ComponentError(error.message, written.place(path, error.path)) from None
    except (RuntimeError, ValueError, IndexError, TypeError, AssertionError) as error:
        reason = str(error).partition("\n")[0]
        raise ComponentError(f"does not take {shape} from {source}: {reason}", written.place(path)) from error


def _stays_padded(parts: Mapping[str, nn.Module], input_shape: Shape, output_shape: Shape, place: Path) -> bool:
    try:
        return stays_padded(parts.values(), len(input_shape), len(output_shape))
    except ComponentError as error:
        raise ComponentError(error.message, place) from None


def build_layer(written: Written, input_shape: Shape, facts: Mapping[str, Any]) -> nn.Module:
    """Build one layer for inputs of a shape; raises ComponentError with a path within the layer."""
    return layers.build(written.name, resolve(written, facts), {**facts, "input_shape": input_shape})


def resolve(written: Written, facts: Mapping[str, Any]) -> dict[str, Any]:
    """Put the facts' values for their names wherever a layer's setting is a size."""
    choices = dict(written.choices)
    for name, wanted in layers.signatures[written.name].choices.items():
        value = choices.get(name, wanted.default)
        if isinstance(value, str) and any(isinstance(m, FactOrNumber) for m in markers(wanted.annotation)):
            choices[name] = _fact(value, facts, (name,))
    return choices


def _fact(name: str, facts: Mapping[str, Any], path: Path) -> int:
    numbers = [fact for fact, value in facts.items() if type(value) is int and fact != "seed"]
    if name in facts and name not in numbers:
        raise ComponentError(f"the fact '{name}' is no size; sizes are {', '.join(numbers)}", path)
    if name not in facts:
        raise ComponentError(f"'{name}': {unknown('fact', name, numbers)}", path)
    return facts[name]


def _keyed(key: str, module: nn.Module) -> dict[str, nn.Module]:
    if type(module) is not nn.Sequential:
        return {key: module}
    # A chain lies flat in the stack: a nested Sequential would cost a call in every step.
    return {key if name == "main" else f"{key}_{name}": child for name, child in module.named_children()}


def infer_shape(module: nn.Module, input_shape: Shape) -> Shape:
    """Find the shape a new module gives for one sample, by running it on two of zeros.

    It is not run without numbers, on torch's meta device, where the first operation imports for a second.
    """
    device = next((parameter.device for parameter in module.parameters()), None)
    with torch.no_grad():
        output = module.eval()(torch.zeros((2, *input_shape), device=device))
    module.train()
    return tuple(output.shape[1:])
