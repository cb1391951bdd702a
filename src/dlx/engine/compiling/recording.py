"""What a function of tensors does, as a name: equal for functions that call the same operations on tensors of the same shapes.

The function is run once, on copies, while torch tells every operation. To record a graph that can be compiled takes a second or
two of imports, which a run whose step is compiled already does not need.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves, tree_map
from torch.utils.weak import WeakTensorKeyDictionary


class _Told(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Digests the operations that are called: their names, settings, and which tensors they take from which."""

    def __init__(self, given: Sequence[Tensor]) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.digest = hashlib.sha256()
        self.number_of: Any = WeakTensorKeyDictionary()
        self.count = 0
        for tensor in given:
            self.enter(tensor)

    def enter(self, tensor: Tensor) -> None:
        """Give a tensor the next number."""
        self.number_of[tensor] = self.count
        self.count += 1

    @classmethod
    def _should_skip_dynamo(cls) -> bool:
        return False  # what is not compiled need not be kept from it, for which torch would import its compiler

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        arguments = tree_map(self.name, (args, kwargs or {}))
        output = func(*args, **(kwargs or {}))
        self.digest.update(repr((str(func), arguments)).encode())
        for one in tree_leaves(output):
            if isinstance(one, Tensor):
                self.enter(one)
        return output

    def name(self, value: Any) -> str:
        """Name an argument: a tensor by its number, or by its values where no operation made it."""
        if isinstance(value, torch.Generator):
            return "generator"
        if not isinstance(value, Tensor):
            return f"{type(value).__name__} {value!r}"
        number = self.number_of.get(value)
        if number is not None:
            return f"tensor {number}"
        with torch.utils._python_dispatch._disable_current_modes():
            return f"constant {value.dtype} {tuple(value.shape)} {value.tolist()}"


def operations(function: Callable[..., Tensor], example: Sequence[Tensor]) -> str:
    """Digest what a function of tensors does with some; they and the random numbers stay as they are."""
    copies = [one.detach().clone(memory_format=torch.preserve_format) for one in example]
    with aside(copies[0].device), _Told(copies) as told:
        output = function(*copies)
    return f"{told.digest.hexdigest()} {told.name(output)}"


@contextmanager
def aside(device: torch.device) -> Iterator[None]:
    """Have layers behave as in a compiled step, whose gradients are its own affair, and leave the random numbers as they are."""
    flags: Any = torch.compiler
    was, flags._is_compiling_flag = flags._is_compiling_flag, True  # what `torch.compiler.is_compiling` tells layers
    try:
        with torch.random.fork_rng([device] if device.type == "cuda" else []), torch.no_grad():
            yield
    finally:
        flags._is_compiling_flag = was
