"""Torch's own kernels of an update, without what its functions look up again at every step: the bits are the same.

For networks that step in a millisecond the looking up takes a tenth of it.
"""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor
from torch.optim import Adam, AdamW, Optimizer

NEEDS_MORE = ("amsgrad", "capturable", "differentiable")  # settings of Adam that ask for more than its kernel
AT_ONCE = ("cpu", "cuda")  # devices on which torch clips all gradients at once
ONE = torch.ones(())  # added to what is on the CPU: a plain 1 would be made a tensor once for each of them


def are_alike(tensors: Sequence[Tensor]) -> bool:
    """Tell whether tensors are of one device and one type, as kernels for many at once want them."""
    return len({(tensor.device, tensor.dtype) for tensor in tensors}) == 1


def clips_at_once(tensors: Sequence[Tensor]) -> bool:
    """Tell whether `clip_to` may clip the gradients of some parameters."""
    return are_alike(tensors) and tensors[0].device.type in AT_ONCE


@torch.no_grad()
def common_norm(gradients: list[Tensor]) -> Tensor:
    """Compute the norm of all gradients as torch.nn.utils.get_total_norm does."""
    norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_norm(gradients)))
    return norm


@torch.no_grad()
def clip_to(gradients: list[Tensor], norm: Tensor, found: float, most: float) -> None:
    """Scale gradients in place as torch.nn.utils.clip_grads_with_norm_ does; `found` is the number that `norm` holds."""
    if not found + 1e-5 < 0.999 * most:  # else they would be multiplied by 1
        torch._foreach_mul_(gradients, torch.clamp(most / (norm + 1e-6), max=1.0))


def bare_step(optimizer: Optimizer) -> Callable[[], Any]:
    """Give an optimizer's step without what torch wraps it in.

    Its profiling range is 4 % of a small model's step; and where gradients could flow through a step, which no setting of dlx
    asks for, it imports the compiler to say where one may not trace it.
    """
    step: Any = type(optimizer).step
    if step.__module__.startswith("torch.optim."):
        bare: Any = torch.no_grad()(functools.partial(inspect.unwrap(step), optimizer))
    else:
        bare = functools.partial(step.__wrapped__, optimizer) if getattr(step, "hooked", False) else optimizer.step
    is_plain = type(optimizer) in (Adam, AdamW) and all(map(_is_plain, optimizer.param_groups))
    return functools.partial(_step_adam, optimizer, bare) if is_plain else bare


def _is_plain(group: dict[str, Any]) -> bool:
    return bool(group["fused"]) and not any(group[name] for name in NEEDS_MORE) and are_alike(group["params"])


@torch.no_grad()
def _step_adam(optimizer: Optimizer, torchs_own: Callable[[], Any]) -> None:
    """Step as torch does; the first step, which makes the state, is torch's own."""
    stepped = [[parameter for parameter in group["params"] if parameter.grad is not None] for group in optimizer.param_groups]
    states = [[optimizer.state.get(parameter) for parameter in parameters] for parameters in stepped]
    if not all(all(some) for some in states):
        torchs_own()
        return
    for group, parameters, some in zip(optimizer.param_groups, stepped, states, strict=True):
        if parameters:
            _descend(group, parameters, some)


def _descend(group: dict[str, Any], parameters: list[Tensor], states: list[Any]) -> None:
    steps = [state["step"] for state in states]
    if steps[0].is_cpu:
        torch._foreach_add_(steps, ONE, alpha=1)
    else:
        torch._foreach_add_(steps, 1)
    beta1, beta2 = group["betas"]
    kernel: Any = torch._fused_adamw_ if group["decoupled_weight_decay"] else torch._fused_adam_
    kernel(
        parameters,
        [parameter.grad for parameter in parameters],
        [state["exp_avg"] for state in states],
        [state["exp_avg_sq"] for state in states],
        [],
        steps,
        amsgrad=False,
        lr=group["lr"],
        beta1=beta1,
        beta2=beta2,
        weight_decay=group["weight_decay"],
        eps=group["eps"],
        maximize=group["maximize"],
        grad_scale=None,
        found_inf=None,
    )
