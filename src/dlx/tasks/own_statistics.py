"""Batch normalisation that looks at the image before it, for light and cameras that training has not seen."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn

from dlx.errors import ComponentError


@contextmanager
def blended_statistics(model: nn.Module, share: float) -> Iterator[None]:
    """Blend the statistics of batch normalisation of maps, in evaluation, with those of each image, which weigh `share`.

    Every image is answered as it would be alone (Schneider et al. 2020, "Improving robustness against common corruptions by
    covariate shift adaptation", with a batch of one).
    """

    def blended(module: nn.BatchNorm2d, given: tuple[Any, ...], output: Tensor) -> Tensor:
        if module.training or module.running_mean is None or module.running_var is None:
            return output
        maps = given[0].float()
        own_variance, own_mean = torch.var_mean(maps, (2, 3), correction=0, keepdim=True)
        mean = own_mean.lerp(module.running_mean.float()[:, None, None].expand_as(own_mean), 1 - share)
        variance = own_variance.lerp(module.running_var.float()[:, None, None].expand_as(own_variance), 1 - share)
        normal = (maps - mean) * (variance + module.eps).rsqrt()
        if module.affine:
            normal = normal * module.weight.float()[:, None, None] + module.bias.float()[:, None, None]
        return normal.to(output.dtype)

    hooks = [layer.register_forward_hook(blended) for layer in normalisations(model)] if share else []
    try:
        yield
    finally:
        for hook in hooks:
            hook.remove()


def normalisations(model: nn.Module) -> list[nn.BatchNorm2d]:
    """List a model's batch normalisations of maps."""
    return [layer for layer in model.modules() if isinstance(layer, nn.BatchNorm2d)]


def refuse_without(model: nn.Module, share: float) -> None:
    """Raise ComponentError where images are to weigh in a model that normalises none by the batch."""
    if share and not normalisations(model):
        raise ComponentError(
            "the model has no batch normalisation of maps, so this changes nothing; leave it out", ("own_statistics",)
        )
