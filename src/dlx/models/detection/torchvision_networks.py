"""torchvision's detectors, built without any say of theirs about weights, and published weights put into them."""

from __future__ import annotations

import re
from functools import partial
from typing import Any

import torch
import torchvision
from torch import Tensor, nn
from torchvision.models.detection import ssdlite
from torchvision.models.detection.anchor_utils import DefaultBoxGenerator
from torchvision.models.detection.fcos import FCOSHead
from torchvision.models.detection.ssd import SSD
from torchvision.ops import FrozenBatchNorm2d

from dlx.models.detection.geometry import Selection
from dlx.models.torchvision_weights import by_name, download
from dlx.storage import weights as foreign

BACKGROUND = ("ssd", "fasterrcnn", "maskrcnn")  # detectors whose class 0 is the background
CHANNELS = 256  # of a pyramid's maps
SSDLITE = 320


class CountingHead(FCOSHead):
    """FCOS's head, which remembers how many places of each image it has matched."""

    matched: list[int]

    def compute_loss(self, targets: Any, head_outputs: Any, anchors: Any, matched_idxs: list[Tensor]) -> dict[str, Tensor]:
        """Compute the losses as FCOS does."""
        self.matched = [int((places >= 0).sum()) for places in matched_idxs]
        return super().compute_loss(targets, head_outputs, anchors, matched_idxs)


def backbone_of(name: str) -> str:
    """Name the classification network that a detector is built on."""
    found = re.search("resnet50|mobilenet_v3_large|vgg16", name)
    assert found, name
    return found[0]


def has_background(name: str) -> bool:
    """Tell whether a detector's class 0 is the background."""
    return name.startswith(BACKGROUND)


def build(name: str, num_classes: int, selection: Selection, reduced_tail: bool) -> Any:
    """Build a detector for some classes, all of it trained, with batch normalisation."""
    prefix = "box_" if "rcnn" in name else ""
    kept = {"score_thresh": selection.score_threshold, "nms_thresh": selection.nms_threshold}
    kept["detections_per_img"] = selection.max_boxes
    choices: dict[str, Any] = {f"{prefix}{key}": value for key, value in kept.items()}
    classes = num_classes + has_background(name)
    if name.startswith("ssdlite"):
        return _ssdlite(classes, reduced_tail, choices)
    if name.startswith("fcos"):
        choices["head"] = CountingHead(CHANNELS, 1, classes)
    return torchvision.models.get_model(name, weights=None, weights_backbone=None, num_classes=classes, **choices)


def _ssdlite(classes: int, reduced_tail: bool, choices: dict[str, Any]) -> SSD:
    """Build SSDlite as torchvision does, which itself ties the tail of the backbone to where its weights come from."""
    norm = partial(nn.BatchNorm2d, eps=0.001)
    network = torchvision.models.mobilenet_v3_large(weights=None, norm_layer=norm, reduced_tail=reduced_tail)
    ssdlite._normal_init(network)
    backbone = ssdlite._mobilenet_extractor(network, 6, norm)
    anchors = DefaultBoxGenerator([[2, 3] for _ in range(6)], min_ratio=0.2, max_ratio=0.95)
    # Of the maps' channels: the expanded fourth stage, the last convolution, and four further blocks.
    tail = network.features[-1].out_channels
    channels = [backbone.features[0][-1][0].out_channels, tail, 512, 256, 256, 128]
    head = ssdlite.SSDLiteHead(channels, anchors.num_anchors_per_location(), classes, norm)
    return SSD(backbone, anchors, (SSDLITE, SSDLITE), classes, head=head, topk_candidates=300, **choices)


def body(name: str, network: Any) -> nn.Module:
    """Return the part of a detector that comes from a classification network."""
    if name.startswith("ssdlite"):
        return network.backbone.features
    return network.backbone if name.startswith("ssd") else network.backbone.body


def freeze_statistics(module: nn.Module) -> None:
    """Put fixed statistics in place of batch normalisation, as torchvision does where a backbone comes with weights."""
    for name, child in module.named_children():
        if isinstance(child, nn.BatchNorm2d):
            setattr(module, name, FrozenBatchNorm2d(child.num_features, child.eps))
        else:
            freeze_statistics(child)


def load(name: str, network: Any, weights: str, reduced_tail: bool) -> None:
    """Fill a detector from a file of its own kind, or its backbone from one of a classification network."""
    published = by_name(backbone_of(name) if weights == "imagenet" else name, weights)
    given = download(published) if published else foreign.read(weights)
    if any("backbone." in key for key in given.tensors):
        state = network.state_dict()
        heads = [key for key in state if not key.startswith("backbone.")]
        foreign.load(state, given, foreign.Leeway(resized=heads))
        return
    wanted = renamed(name, network, reduced_tail)
    foreign.load(wanted, given, foreign.Leeway(left_over=[key for key in given.tensors if key not in wanted]))


def renamed(name: str, network: Any, reduced_tail: bool) -> dict[str, Tensor]:
    """Name the tensors of a detector's backbone as the classification network does: they are the same in the same order."""
    choices = {"reduced_tail": True} if name.startswith("ssdlite") and reduced_tail else {}
    with torch.device("meta"):
        classifier = torchvision.models.get_model(backbone_of(name), weights=None, **choices)
    kept = [key for key in classifier.state_dict() if key.startswith("features.") or not key.startswith(("fc.", "classifier."))]
    names = [key for key in kept if foreign.COUNTER not in key]
    own = body(name, network).state_dict()
    tensors = [value for key, value in own.items() if foreign.COUNTER not in key and key != "scale_weight"]
    return dict(zip(names, tensors, strict=False))
