"""torchvision's detectors under their own names, with published weights."""

from __future__ import annotations

from typing import Annotated, Literal

import torchvision
from pydantic import Field
from torch import nn

from dlx.errors import ComponentError
from dlx.layers.building import IMAGE, require
from dlx.models.detection.geometry import Selection
from dlx.models.detection.torchvision_adapters import Adapter, OneStage, TwoStage
from dlx.models.detection.torchvision_networks import backbone_of, body, build, freeze_statistics, has_background, load
from dlx.models.pixel_statistics import IMAGENET, adapted
from dlx.models.torchvision_weights import best
from dlx.registry import models
from dlx.storage import weights as foreign

NAMES = (
    "ssd300_vgg16", "ssdlite320_mobilenet_v3_large", "retinanet_resnet50_fpn", "retinanet_resnet50_fpn_v2", "fcos_resnet50_fpn",
    "fasterrcnn_resnet50_fpn", "fasterrcnn_resnet50_fpn_v2", "fasterrcnn_mobilenet_v3_large_fpn",
    "fasterrcnn_mobilenet_v3_large_320_fpn",
)  # fmt: skip
# Those whose published weights do not expect ImageNet's statistics.
COCO_STATISTICS = {
    "ssd300_vgg16": ([0.48235, 0.45882, 0.40784], [1 / 255] * 3),
    "ssdlite320_mobilenet_v3_large": ([0.5] * 3, [0.5] * 3),
}
CHOICES = """

input (B, C, H, W), whose size the data set decides. `weights`: none; imagenet, those of {backbone} for the backbone alone; a
name of torchvision's ({names}), whose layers of classes stay new where there are not as many; or a file of either kind. `norm`:
batch, or frozen statistics in the backbone, as published weights were trained with; `norm_momentum`: of batch normalisation's
statistics. `freeze`: the backbone.
"""
LITE = "`reduced_tail`: the last stage with half the channels, as COCO's weights have it and ImageNet's do not.\n"
Norm = Literal["batch", "frozen"]


def assemble(
    name: str,
    num_classes: int,
    input_shape: list[int],
    own: tuple[list[float] | None, list[float] | None],
    selection: Selection,
    weights: str,
    norm: Norm,
    norm_momentum: float,
    freeze: bool,
    reduced_tail: bool = True,
) -> Adapter:
    """Build one detector with its weights; raises ComponentError."""
    require(tuple(input_shape), IMAGE)
    if weights == "none" and (norm == "frozen" or freeze):
        raise ComponentError("would keep what chance has drawn; give weights", ("freeze" if freeze else "norm",))
    if name.startswith("ssdlite") and weights == "imagenet" and reduced_tail:
        raise ComponentError("ImageNet's weights have the whole tail; set reduced_tail: false", ("reduced_tail",))
    network = build(name, num_classes, selection, reduced_tail)
    part = body(name, network)
    if norm == "frozen":
        freeze_statistics(part)
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            module.momentum = norm_momentum
    expected = COCO_STATISTICS.get(name, IMAGENET) if weights.startswith("COCO") else IMAGENET
    statistics = adapted(part, input_shape[0], own, None if weights == "none" else expected)
    if weights != "none" and not foreign.are_withheld():
        load(name, network, weights, reduced_tail)
    adapter = TwoStage if "rcnn" in name else OneStage
    return adapter(network, statistics, int(has_background(name)), part if freeze else None)


def _register(name: str) -> None:
    def make(
        num_classes: int,
        input_shape: list[int],
        channel_mean: list[float] | None = None,
        channel_std: list[float] | None = None,
        *,
        weights: Annotated[str, foreign.Choice()] = "none",
        norm: Norm = "batch",
        norm_momentum: Annotated[float, Field(gt=0, le=1)] = 0.1,
        freeze: Literal["none", "backbone"] = "none",
        selection: Selection,
    ) -> Adapter:
        own = (channel_mean, channel_std)
        return assemble(name, num_classes, input_shape, own, selection, weights, norm, norm_momentum, freeze == "backbone")

    def lite(
        num_classes: int,
        input_shape: list[int],
        channel_mean: list[float] | None = None,
        channel_std: list[float] | None = None,
        *,
        weights: Annotated[str, foreign.Choice()] = "none",
        reduced_tail: bool = True,
        norm_momentum: Annotated[float, Field(gt=0, le=1)] = 0.1,
        freeze: Literal["none", "backbone"] = "none",
        selection: Selection,
    ) -> Adapter:
        own, frozen = (channel_mean, channel_std), freeze == "backbone"
        return assemble(name, num_classes, input_shape, own, selection, weights, "batch", norm_momentum, frozen, reduced_tail)

    made = lite if name.startswith("ssdlite") else make
    made.__name__, made.__doc__ = name, _about(name)
    models.adopt(name, made)


def _about(name: str) -> str:
    """Describe a detector from what torchvision says of its published weights."""
    meta = best(name).meta
    score = meta["_metrics"]["COCO-val2017"]["box_map"]
    names = ", ".join(w.name for w in torchvision.models.get_model_weights(name))
    line = f"{meta['num_params'] / 1e6:.1f} M parameters; on COCO average precision {score:.1f} %."
    about = f"{line}\n\ntorchvision's {name}." + CHOICES.format(backbone=backbone_of(name), names=names)
    return about + (LITE if name.startswith("ssdlite") else "")


for _name in NAMES:
    _register(_name)
