"""torch.optim's optimizers by name; their own signatures are the schema."""

import torch

from dlx.registry import optimizers

# How a step is carried out is the device's choice, not the experiment's.
HIDDEN = ("foreach", "capturable", "differentiable", "maximize", "fused")

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
