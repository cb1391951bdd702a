"""torchvision's segmentation networks under their own names, with published weights."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any, Literal

import torchvision
from torch import Tensor, nn

from dlx.errors import ComponentError
from dlx.layers.building import IMAGE, require
from dlx.models.pixel_statistics import IMAGENET, adapted
from dlx.models.torchvision_weights import best, by_name, download
from dlx.registry import models
from dlx.storage import weights as foreign

CHOICES = """

input (B, C, H, W) -> (B, num_classes, H, W), or with `auxiliary` a mapping of that as `out`, and of an auxiliary head's
as `aux`. `weights`: none; imagenet, those of {backbone} for the backbone alone; a name of torchvision's ({names}), whose
last layers stay new where the classes are not its 21; or a file of either kind. `freeze`: the backbone, which then keeps its
statistics too. Batch normalisation wants batches of at least two images.
"""


class SegmentationNetwork(nn.Module):
    """One of torchvision's networks, with what stands before it."""

    def __init__(self, network: Any, statistics: nn.Module, freeze: bool) -> None:
        super().__init__()
        self.statistics, self.network = statistics, network
        self.frozen = freeze
        if freeze:
            network.backbone.requires_grad_(False)
        self.train(self.training)

    def forward(self, input: Tensor) -> Tensor | dict[str, Tensor]:
        given = self.network(self.statistics(input))
        return given if "aux" in given else given["out"]

    def train(self, mode: bool = True) -> SegmentationNetwork:
        """Enter training or evaluation mode; a frozen backbone stays in evaluation mode."""
        super().train(mode)
        if self.frozen:
            self.network.backbone.eval()
        return self


def backbone_of(name: str) -> str:
    """Name the classification network that a detector or a segmentation network is built on."""
    found = re.search("resnet50|resnet101|mobilenet_v3_large|vgg16", name)
    assert found, name
    return found[0]


def assemble(
    name: str, num_classes: int, input_shape: list[int], own: Any, weights: str, auxiliary: bool, freeze: bool
) -> SegmentationNetwork:
    """Build one network with its weights; raises ComponentError."""
    require(tuple(input_shape), IMAGE)
    choices: dict[str, Any] = {} if name.startswith("lraspp") else {"aux_loss": auxiliary}
    network = torchvision.models.get_model(name, weights=None, weights_backbone=None, num_classes=num_classes, **choices)
    statistics = adapted(network.backbone, input_shape[0], own, None if weights == "none" else IMAGENET)
    if weights == "none" and freeze:
        raise ComponentError("would keep what chance has drawn; give weights", ("freeze",))
    if weights != "none" and not foreign.are_withheld():
        load(name, network, weights)
    return SegmentationNetwork(network, statistics, freeze)


def load(name: str, network: Any, weights: str) -> None:
    """Fill a network, or its backbone alone, from a download or a file."""
    source = backbone_of(name) if weights == "imagenet" else name
    published = by_name(source, weights)
    given = download(published) if published else foreign.read(weights)
    if any("backbone." in key for key in given.tensors):
        heads = [key for key in network.state_dict() if not key.startswith("backbone.")]
        extra = [key for key in given.tensors if "aux_classifier." in key]
        foreign.load(network.state_dict(), given, foreign.Leeway(missing=heads, resized=heads, left_over=extra))
        return
    tensors = {key.removeprefix("features."): value for key, value in given.tensors.items()}
    given = foreign.Weights(given.file, tensors, given.ordered)
    wanted = network.backbone.state_dict()
    rest = [key for key in tensors if key not in wanted]  # the classifier, and what lies behind the last map
    foreign.load(wanted, given, foreign.Leeway(left_over=rest))


def _register(name: str) -> None:
    def build(
        num_classes: int,
        input_shape: list[int],
        channel_mean: list[float] | None = None,
        channel_std: list[float] | None = None,
        *,
        weights: Annotated[str, foreign.Choice()] = "none",
        auxiliary: bool = False,
        freeze: Literal["none", "backbone"] = "none",
    ) -> SegmentationNetwork:
        own = (channel_mean, channel_std)
        return assemble(name, num_classes, input_shape, own, weights, auxiliary, freeze == "backbone")

    def without(
        num_classes: int,
        input_shape: list[int],
        channel_mean: list[float] | None = None,
        channel_std: list[float] | None = None,
        *,
        weights: Annotated[str, foreign.Choice()] = "none",
        freeze: Literal["none", "backbone"] = "none",
    ) -> SegmentationNetwork:
        return build(num_classes, input_shape, channel_mean, channel_std, weights=weights, freeze=freeze)

    made: Callable[..., SegmentationNetwork] = without if name.startswith("lraspp") else build
    made.__name__, made.__doc__ = name, _about(name)
    models.adopt(name, made)


def _about(name: str) -> str:
    """Describe a network from what torchvision says of its published weights."""
    meta = best(name).meta
    scores = meta["_metrics"]["COCO-val2017-VOC-labels"]
    names = ", ".join(w.name for w in torchvision.models.get_model_weights(name))
    line = f"{meta['num_params'] / 1e6:.1f} M parameters; on COCO with VOC's 21 classes mean IoU {scores['miou']:.1f} %."
    return f"{line}\n\ntorchvision's {name}." + CHOICES.format(backbone=backbone_of(name), names=names)


for _name in torchvision.models.list_models(module=torchvision.models.segmentation):
    _register(_name)
