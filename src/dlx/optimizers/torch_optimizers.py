"""torch.optim's optimizers by name; their own signatures are the schema."""

import inspect
from typing import Any

import torch
from torch.optim import Optimizer

from dlx.registry import optimizers

# How a step is carried out is the device's choice, not the experiment's.
HIDDEN = ("foreach", "capturable", "differentiable", "maximize", "fused")

HOUSEKEEPING = (Optimizer.add_param_group, Optimizer.state_dict, Optimizer.load_state_dict, Optimizer.zero_grad)


def _leave_out_the_compiler() -> None:
    """Have torch's optimizers keep house without its compiler, which takes a second and a half to import.

    Torch never lets these functions be traced: at its first call each asks the compiler for a form of it that is not, and
    keeps that beside it. It finds the function itself there; dlx traces none of them.
    """
    for method in HOUSEKEEPING:
        plain: Any = inspect.unwrap(method)
        plain.__dynamo_disable = plain


_leave_out_the_compiler()
for _name, _class in {
    "sgd": torch.optim.SGD,
    "adam": torch.optim.Adam,
    "adamw": torch.optim.AdamW,
    "nadam": torch.optim.NAdam,
    "radam": torch.optim.RAdam,
    "adamax": torch.optim.Adamax,
    "rmsprop": torch.optim.RMSprop,
    "adagrad": torch.optim.Adagrad,
    "adadelta": torch.optim.Adadelta,
}.items():
    optimizers.adopt(_name, _class, facts=("params",), hidden=HIDDEN)
