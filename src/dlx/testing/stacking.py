"""What layers promise."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dlx.errors import ComponentError
from dlx.layers.lengths import filled
from dlx.layers.stack import PaddedStack, build_stack
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
    in a batch, and the same twice in evaluation mode; gradients reach every parameter. Where the input is padded, a sequence
    alone is answered as beside a longer one, unless the layer is refused there. `codes`: inputs are whole numbers below it
    instead of real ones.
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
    if codes or len(input_shape) == 2:
        _padded(written, inputs, dict(facts or {}))


def _padded(written: Any, inputs: Tensor, facts: Mapping[str, Any]) -> None:
    """Check what a layer makes of sequences that are padded."""
    torch.manual_seed(0)
    try:
        stack = build_stack([written], tuple(inputs.shape[1:]), {**facts, "padded": True})
    except ComponentError:
        return
    assert isinstance(stack, PaddedStack)
    stack.eval()
    steps = inputs.shape[1]
    length = torch.tensor([steps, 1, max(steps // 2, 1)])
    batch = filled(inputs, length, 0)
    with torch.no_grad():
        whole = stack(batch, length)
        for row, own in enumerate(length):
            alone = stack(batch[row : row + 1, :own], own[None])[0]
            within = whole[row, : len(alone)] if stack.keeps_steps else whole[row]
            assert same(alone, within, 1e-5), (
                f"{written}: a sequence of {own} steps alone gets another answer than beside one of {steps}: what reads "
                "padding extends ReadsLength, of dlx.layers.lengths"
            )
            rest = whole[row, len(alone) :] if stack.keeps_steps else alone[:0]
            assert not rest.any(), f"{written}: what lies behind a sequence's end is not 0"
