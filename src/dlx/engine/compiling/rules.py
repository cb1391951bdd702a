"""What optimizers do to a parameter, as plain arithmetic on tensors, so that it can be compiled with the rest of a step.

The formulas are those of torch's fused kernels. What changes from step to step and is no tensor, such as the learning rate and
the corrections of Adam's averages, is computed in float64 beforehand and handed in as numbers.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor
from torch.optim import SGD, Adagrad, Adam, AdamW, Optimizer, RMSprop

Group = Mapping[str, Any]  # settings of an optimizer, such as lr, weight_decay
State = list[Tensor]


@dataclass(frozen=True)
class Rule:
    """How one kind of optimizer steps.

    kept: the names of what it keeps of a parameter, in the order of `State`. numbers: of a group at its t-th step.
    update: parameter, gradient, state and numbers to the new parameter and state.
    """

    kept: Callable[[Group], tuple[str, ...]]
    numbers: Callable[[Group, int], list[float]]
    update: Callable[[Group, Tensor, Tensor, State, Sequence[Tensor]], tuple[Tensor, State]]


def rule_of(optimizer: Optimizer) -> Rule | None:
    """Return how an optimizer steps; None where it is not known here."""
    if any(group["maximize"] or group.get("differentiable") for group in optimizer.param_groups):
        return None
    return RULES.get(type(optimizer))


def _kept_by_sgd(group: Group) -> tuple[str, ...]:
    return ("momentum_buffer",) if group["momentum"] else ()


def _sgd(group: Group, parameter: Tensor, gradient: Tensor, state: State, numbers: Sequence[Tensor]) -> tuple[Tensor, State]:
    gradient = _decayed(group, parameter, gradient)
    if state:
        momentum = group["momentum"] * state[0] + (1 - group["dampening"]) * gradient
        gradient = gradient + group["momentum"] * momentum if group["nesterov"] else momentum
        state = [momentum]
    return parameter - numbers[0] * gradient, state


def _kept_by_adam(group: Group) -> tuple[str, ...]:
    return ("exp_avg", "exp_avg_sq", *(["max_exp_avg_sq"] if group["amsgrad"] else []))


def _numbers_of_adam(group: Group, step: int) -> list[float]:
    beta1, beta2 = group["betas"]
    return [group["lr"] / (1 - beta1**step), math.sqrt(1 - beta2**step), group["lr"] * group["weight_decay"]]


def _adam(group: Group, parameter: Tensor, gradient: Tensor, state: State, numbers: Sequence[Tensor]) -> tuple[Tensor, State]:
    beta1, beta2 = group["betas"]
    size, correction, decay = numbers
    if not group["decoupled_weight_decay"]:
        gradient = _decayed(group, parameter, gradient)
    elif group["weight_decay"]:
        parameter = parameter - decay * parameter
    mean = torch.lerp(state[0], gradient, 1 - beta1)
    square = beta2 * state[1] + (1 - beta2) * gradient * gradient
    largest = torch.maximum(state[2], square) if group["amsgrad"] else square
    return parameter - size * mean / (largest.sqrt() / correction + group["eps"]), [mean, square, largest][: len(state)]


def _adagrad(
    group: Group, parameter: Tensor, gradient: Tensor, state: State, numbers: Sequence[Tensor]
) -> tuple[Tensor, State]:
    gradient = _decayed(group, parameter, gradient)
    total = state[0] + gradient * gradient
    return parameter - numbers[0] * gradient / (total.sqrt() + group["eps"]), [total]


def _kept_by_rmsprop(group: Group) -> tuple[str, ...]:
    further = [("momentum_buffer", group["momentum"]), ("grad_avg", group["centered"])]
    return ("square_avg", *(name for name, used in further if used))


def _rmsprop(
    group: Group, parameter: Tensor, gradient: Tensor, state: State, numbers: Sequence[Tensor]
) -> tuple[Tensor, State]:
    gradient = _decayed(group, parameter, gradient)
    named = dict(zip(_kept_by_rmsprop(group), state, strict=True))
    square = torch.addcmul(group["alpha"] * named["square_avg"], gradient, gradient, value=1 - group["alpha"])
    named["square_avg"] = variance = square
    if group["centered"]:
        named["grad_avg"] = mean = torch.lerp(named["grad_avg"], gradient, 1 - group["alpha"])
        variance = torch.addcmul(square, mean, mean, value=-1)
    change = gradient / (variance.sqrt() + group["eps"])
    if group["momentum"]:
        named["momentum_buffer"] = change = group["momentum"] * named["momentum_buffer"] + change
    return parameter - numbers[0] * change, list(named.values())


def _decayed(group: Group, parameter: Tensor, gradient: Tensor) -> Tensor:
    return gradient + group["weight_decay"] * parameter if group["weight_decay"] else gradient


RULES: dict[type[Optimizer], Rule] = {
    SGD: Rule(_kept_by_sgd, lambda group, step: [group["lr"]], _sgd),
    Adam: Rule(_kept_by_adam, _numbers_of_adam, _adam),
    AdamW: Rule(_kept_by_adam, _numbers_of_adam, _adam),
    Adagrad: Rule(lambda group: ("sum",), lambda group, step: [group["lr"] / (1 + (step - 1) * group["lr_decay"])], _adagrad),
    RMSprop: Rule(_kept_by_rmsprop, lambda group, step: [group["lr"]], _rmsprop),
}
