"""What layers promise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch

from dlx.layers.stack import build_stack
from dlx.testing.common import same


def check_layer(
    written: Any,
    input_shape: Sequence[int],
    output_shape: Sequence[int] | None = None,
    facts: Mapping[str, Any] | None = None,
    codes: int = 0,
) -> None:
    """Check a layer as a config writes it, such as "relu" or {"dense": 5}, on inputs of a shape without the batch.

    The shape that is inferred is the real one, and `output_shape` where that is given; answers are finite, the same alone and
    in a batch, and the same twice in evaluation mode; gradients reach every parameter. `codes`: inputs are whole numbers
    below it instead of real ones.
    """
    torch.manual_seed(0)
    stack = build_stack([written], tuple(input_shape), dict(facts or {}))
    inferred = stack.layout[-1].output_shape
    shape = (3, *input_shape)
    inputs = torch.randint(codes, shape) if codes else torch.randn(shape)
    stack.train()
    given = stack(inputs)
    assert tuple(given.shape[1:]) == inferred, f"{written}: infers {inferred}, and gives {tuple(given.shape[1:])}"
    if output_shape is not None:
        assert inferred == tuple(output_shape), (
            f"{written}: gives {inferred} for {tuple(input_shape)}, not {tuple(output_shape)}"
        )
    assert given.isfinite().all(), f"{written}: gives numbers that are not finite"
    if any(p.requires_grad for p in stack.parameters()):
        (given * torch.randn_like(given)).sum().backward()
        missing = [key for key, p in stack.named_parameters() if p.requires_grad and p.grad is None]
        assert not missing, f"{written}: no gradient reaches {missing[0]}"
    stack.eval()
    with torch.no_grad():
        whole = stack(inputs)
        assert same(whole, stack(inputs)), f"{written}: gives another answer every time in evaluation mode"
        assert same(stack(inputs[1:2])[0], whole[1], 1e-5), f"{written}: a sample alone gets another answer than in its batch"
