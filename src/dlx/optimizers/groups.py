"""Which parameters an optimizer steps, and with what settings of their own."""

from __future__ import annotations

import fnmatch
import inspect
from collections.abc import Callable, Mapping
from typing import Any, Literal

import torch
from torch import nn

from dlx.errors import ComponentError

NORMS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)


def options(
    *,
    no_decay: tuple[Literal["bias", "norm", "embedding"], ...] = ("bias", "norm"),
    groups: dict[str, dict[str, Any]] = {},  # noqa: B006
) -> None:
    """State what the config may set beside an optimizer's own choices.

    `no_decay`: kinds of parameters left out of weight decay. `groups`: settings such as lr for the parameters
    whose name in the model matches a pattern, for example `backbone.*`; the first match counts.
    """


def parameter_groups(model: nn.Module, options: Mapping[str, Any], weight_decay: float = 0.0) -> list[dict[str, Any]]:
    """Divide a model's trainable parameters by their settings; raises ComponentError where a pattern, or its decay, has no effect."""
    kinds, patterns = _kinds(model), options["groups"]
    found: dict[str, dict[str, Any]] = {}
    unused = set(patterns)
    without_effect = {pattern for pattern, settings in patterns.items() if settings.get("weight_decay")}
    for name, parameter in model.named_parameters():
        if not parameter.requires_grad:
            continue
        pattern = next((p for p in patterns if fnmatch.fnmatchcase(name, p)), None)
        unused.discard(pattern)
        settings = dict(patterns.get(pattern, {}))
        decay = settings.get("weight_decay", weight_decay)
        if decay and kinds.get(name) in options["no_decay"]:  # a group more is a kernel more at every step
            settings["weight_decay"] = 0.0
        else:
            without_effect.discard(pattern)
        found.setdefault(str(sorted(settings.items())), {"params": [], **settings})["params"].append(parameter)
    if unused:
        names = ", ".join(sorted({n.partition(".")[0] + ".*" for n, _ in model.named_parameters()}))
        raise ComponentError(f"no parameter matches; there is {names}", ("groups", sorted(unused)[0]))
    if without_effect:
        reason = f"all that matches is of the kinds in no_decay ({', '.join(options['no_decay'])}); change that list"
        raise ComponentError(f"has no effect: {reason}", ("groups", sorted(without_effect)[0], "weight_decay"))
    return list(found.values())


def _kinds(model: nn.Module) -> dict[str, str]:
    kinds = {}
    for prefix, module in model.named_modules():
        for name, parameter in module.named_parameters(recurse=False):
            full = f"{prefix}.{name}".lstrip(".")
            if isinstance(module, NORMS):
                kinds[full] = "norm"
            elif isinstance(module, nn.Embedding):
                kinds[full] = "embedding"
            elif "bias" in name and parameter.ndim <= 1:
                kinds[full] = "bias"
    return kinds


def construct(
    make: Callable, model: nn.Module, choices: Mapping[str, Any], options: Mapping[str, Any], device: torch.device
) -> torch.optim.Optimizer:
    """Make an optimizer over a model's parameters, fused where its kind and the device allow."""
    own = dict(choices)
    groups = parameter_groups(model, options, choices.get("weight_decay", 0.0))
    if "fused" in inspect.signature(make).parameters and device.type in ("cpu", "cuda", "mps", "xpu"):
        own["fused"] = True
    return make(groups, **own)
