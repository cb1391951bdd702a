"""Where in an image a model sees its answer: Grad-CAM (Selvaraju et al. 2017)."""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlx.errors import UsageError


def heat_maps(model: nn.Module, images: Tensor) -> Tensor:
    """Show where in images (B, C, H, W) a model finds the class it chooses: (B, H, W), from 0 to 1 in every image.

    The model is in evaluation mode and gives logits (B, K), or one logit (B, 1) whose sign chooses. Raises UsageError where
    it has no stage of feature maps.
    """
    stage, call = last_maps(model, images[:1])
    outputs: list[Tensor] = []

    def keep(module: nn.Module, given: Any, output: Tensor) -> Tensor:
        torch.set_grad_enabled(len(outputs) >= call)  # nothing before the stage is worth the memory
        outputs.append(output.detach().requires_grad_())
        return outputs[-1].clone()  # what follows may work in place

    hook = stage.register_forward_hook(keep)
    try:
        with torch.no_grad():
            logits = model(images)
            score = logits.abs().sum() if logits.shape[-1] == 1 else logits.amax(-1).sum()
            (gradient,) = torch.autograd.grad(score, outputs[call])
    finally:
        hook.remove()
    return _combine(outputs[call].detach().float(), gradient.float(), images.shape[-2:])


def _combine(maps: Tensor, gradient: Tensor, size: torch.Size) -> Tensor:
    heat = F.relu((gradient.mean((2, 3), keepdim=True) * maps).sum(1, keepdim=True))
    heat = F.interpolate(heat, size, mode="bilinear", align_corners=False)[:, 0]
    most = heat.amax((1, 2), keepdim=True)
    return heat / torch.where(most > 0, most, 1)


def last_maps(model: nn.Module, image: Tensor) -> tuple[nn.Module, int]:
    """Find the last module that gives feature maps (1, C, H, W) of more than one place, and which of its calls does.

    Where a module is called for several views of an image, such as its mirror image, the first one counts.
    """
    seen: list[tuple[nn.Module, torch.Size]] = []

    def note(module: nn.Module, given: Any, output: Any) -> None:
        if isinstance(output, Tensor):
            seen.append((module, output.shape))

    hooks = [module.register_forward_hook(note) for module in model.modules() if module is not model]
    try:
        with torch.no_grad():
            model(image)
    finally:
        for hook in hooks:
            hook.remove()
    places = [(module, shape) for module, shape in seen if _has_places(shape)]
    if not places or len(places[-1][1]) != 4:
        raise UsageError("nothing can be explained: Grad-CAM wants feature maps (B, C, H, W) as the model's last stage")
    stage, last = places[-1]
    return stage, [shape for module, shape in seen if module is stage].index(last)


def _has_places(shape: torch.Size) -> bool:
    """Tell maps (1, C, H, W) and sequences (1, T, F) of more than one place from vectors."""
    return (len(shape) == 4 and shape[2] * shape[3] > 1) or (len(shape) == 3 and shape[1] > 1)
