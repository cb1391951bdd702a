"""A network over images in two parts: a backbone that makes features, which may be frozen, and a head that classifies."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.models.torchvision_parts import Parts, blocks

Freeze = Literal["none", "backbone"] | PositiveInt


class ImageNetwork(nn.Module):
    """Normalisation, backbone, pooling and head.

    input (B, C, H, W) -> (B, num_classes). What is frozen takes no gradient and stays in evaluation mode, so its batch
    statistics keep still, whatever `train` says. Given `features`, as `extract` makes them, the backbone is skipped.
    """

    def __init__(self, parts: Parts, normalization: nn.Module, freeze: Freeze = "none", unfreeze_at: int | None = None) -> None:
        super().__init__()
        self.normalization = normalization
        self.backbone, self.pooling, self.head = parts.backbone, parts.pooling, parts.head
        self.unfreeze_at, self.thawed = unfreeze_at, False
        self.frozen = _frozen(self.backbone, freeze)
        self.frozen_parameters = _frozen_parameters(self.backbone, self.frozen)
        if unfreeze_at is not None and not self.frozen:
            raise ComponentError("nothing is frozen; set freeze", ("unfreeze_at",))
        if unfreeze_at is None:  # else the optimizer must be given these too, and `enter_epoch` holds them
            self._hold(True)
        self.train(self.training)

    def forward(self, input: Tensor | None = None, features: Tensor | None = None) -> Tensor:
        return self.head(self.extract(input) if features is None else features)

    def extract(self, input: Tensor | None) -> Tensor:
        """Compute what the head reads: (B, ...)."""
        return self.pooling(self.backbone(self.normalization(input)))

    @property
    def frozen_features(self) -> bool:
        """Tell whether `extract` gives the same for an image as long as training goes on as it does now."""
        return not self.thawed and self.frozen == (self.backbone,)

    def enter_epoch(self, epoch: int) -> None:
        """Hear that an epoch begins, counted from 0: the backbone thaws at `unfreeze_at`."""
        if self.unfreeze_at is not None:
            self.thawed = epoch >= self.unfreeze_at
            self._hold(not self.thawed)
            self.train(self.training)

    def _hold(self, still: bool) -> None:
        for parameter in self.frozen_parameters:
            parameter.requires_grad_(not still)

    def train(self, mode: bool = True) -> ImageNetwork:
        """Enter training or evaluation mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        for module in () if self.thawed else self.frozen:
            module.eval()
        return self


def _frozen(backbone: nn.Module, freeze: Freeze) -> tuple[nn.Module, ...]:
    if isinstance(freeze, str):
        return (backbone,) if freeze == "backbone" else ()
    found = blocks(backbone)
    if freeze > len(found):
        raise ComponentError(f"the backbone has {len(found)} blocks, fewer than {freeze}", ("freeze",))
    return tuple(found[:freeze])


def _frozen_parameters(backbone: nn.Module, frozen: tuple[nn.Module, ...]) -> list[nn.Parameter]:
    """List the parameters of frozen modules, and those of no block, such as position embeddings, which work before any."""
    if not frozen:
        return []
    within_blocks = {id(p) for block in blocks(backbone) for p in block.parameters()}
    loose = [p for p in backbone.parameters() if id(p) not in within_blocks]
    inside = [p for module in frozen for p in module.parameters()]
    return list(dict.fromkeys([*loose, *inside]))
