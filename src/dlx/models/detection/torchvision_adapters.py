"""torchvision's detectors as detectors of dlx: one pass, whose output is learned from or answered by."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torchvision.models.detection.image_list import ImageList
from torchvision.models.detection.rpn import concat_box_prediction_layers
from torchvision.ops import box_iou

from dlx.models.detection.geometry import stacked
from dlx.models.detection.torchvision_networks import CountingHead


class Adapter(nn.Module):
    """A network of torchvision's without its own resizing and standardising, which the data do.

    `first` is the number of the first class: 1 where 0 is the background. What is `frozen` stays in evaluation mode.
    """

    def __init__(self, network: Any, statistics: nn.Module, first: int, frozen: nn.Module | None) -> None:
        super().__init__()
        self.statistics, self.network, self.first = statistics, network, first
        self.kept = (frozen,) if frozen is not None else ()  # in a tuple: it is a part of the network already
        for part in self.kept:
            part.requires_grad_(False)
        self.train(self.training)

    def train(self, mode: bool = True) -> Adapter:
        """Enter training or evaluation mode; what is frozen stays in evaluation mode."""
        super().train(mode)
        for part in self.kept:
            part.eval()
        return self

    def images(self, raw: Any) -> ImageList:
        """Give what torchvision reads of a batch of images beside their features: their sizes."""
        (height, width), maps = raw["shape"], raw["features"][0]
        return ImageList(maps.new_empty(len(maps), 0, height, width), [(height, width)] * len(maps))

    def truth(self, box: Tensor, label: Tensor) -> list[dict[str, Tensor]]:
        """List the boxes of each image; those without an area are left out, since the networks would divide by it."""
        there = (label >= 0) & (box[..., 2:] > box[..., :2]).all(-1)
        return [{"boxes": b[t], "labels": c[t] + self.first} for b, c, t in zip(box, label, there, strict=True)]

    def found(self, answers: list[dict[str, Tensor]]) -> tuple[Tensor, Tensor, Tensor]:
        """Lay the answers to images beside each other."""
        box, score, label = stacked([(one["boxes"], one["scores"], one["labels"] - self.first) for one in answers])
        return box, score, label


class OneStage(Adapter):
    """SSD, SSDlite, RetinaNet and FCOS: input (B, C, H, W) -> the head's outputs for every anchor, `cls_logits` first."""

    def forward(self, input: Tensor) -> dict[str, Any]:
        features = list(self.network.backbone(self.statistics(input)).values())
        given = {key: value.float() for key, value in self.network.head(features).items()}
        return {"cls_logits": given.pop("cls_logits"), **given, "features": features, "shape": input.shape[2:]}

    def outputs(self, raw: Any) -> dict[str, Tensor]:
        """Give the outputs of the head alone."""
        return {key: value for key, value in raw.items() if key not in ("features", "shape")}

    def losses(self, raw: Any, box: Tensor, box_label: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Sum the losses as the networks define them: over matched anchors, 1 an image at least; of RetinaNet over images."""
        anchors = self.network.anchor_generator(self.images(raw), raw["features"])
        targets = self.truth(box, box_label)
        means, matched = self.computed(raw, targets, anchors)
        divided = max(sum(matched), 1)
        names = {"classification": "loss_class", "bbox_regression": "loss_box", "bbox_ctrness": "loss_centre"}
        weight = sum(max(count, 1) for count in matched)
        return {names[key]: value * divided for key, value in means.items()}, torch.tensor(float(weight), device=box.device)

    def computed(self, raw: Any, targets: Any, anchors: Any) -> tuple[dict[str, Tensor], list[int]]:
        """Compute the network's own means, and how much of each image they were divided by."""
        network, outputs = self.network, self.outputs(raw)
        if isinstance(network.head, CountingHead):
            means = network.compute_loss(targets, outputs, anchors, self.counts(raw))
            return means, network.head.matched
        if "bbox_ctrness" not in outputs and self.first == 0:
            return network.compute_loss(targets, outputs, anchors), [1] * len(targets)
        places = [
            network.proposal_matcher(box_iou(own["boxes"], a))
            if len(own["boxes"])
            else torch.full((len(a),), -1, device=a.device)
            for own, a in zip(targets, anchors, strict=True)
        ]
        return network.compute_loss(targets, outputs, anchors, places), [int((one >= 0).sum()) for one in places]

    def counts(self, raw: Any) -> list[int]:
        """Count the places of each map."""
        return [maps.shape[2] * maps.shape[3] for maps in raw["features"]]

    def detect(self, raw: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Let the network keep the best boxes."""
        images, outputs = self.images(raw), self.outputs(raw)
        anchors = self.network.anchor_generator(images, raw["features"])
        if self.first == 0:  # those of a pyramid are chosen map by map
            counts = self.counts(raw)
            each = outputs["cls_logits"].shape[1] // sum(counts)
            sizes = [each * count for count in counts]
            outputs = {key: list(value.split(sizes, 1)) for key, value in outputs.items()}  # type: ignore[misc]
            anchors = [list(one.split(sizes)) for one in anchors]
        return self.found(self.network.postprocess_detections(outputs, anchors, images.image_sizes))


class TwoStage(Adapter):
    """Faster R-CNN: input (B, C, H, W) -> `objectness` (B, A) and `deltas` of every anchor, and the maps.

    Its losses are means over places drawn by lot, as many for each image, so images weigh alike.
    """

    def forward(self, input: Tensor) -> dict[str, Any]:
        maps = self.network.backbone(self.statistics(input))
        features = list(maps.values())
        scores, deltas = self.network.rpn.head(features)
        counts = [score[0].numel() for score in scores]
        objectness, deltas = concat_box_prediction_layers(scores, deltas)
        return {
            "objectness": objectness.float().view(len(input), -1), "deltas": deltas.float(), "features": features,
            "maps": maps, "counts": counts, "shape": input.shape[2:],
        }  # fmt: skip

    def proposals(self, raw: Any) -> tuple[list[Tensor], list[Tensor]]:
        """Find the anchors, and where the first stage finds anything, image by image."""
        rpn, images = self.network.rpn, self.images(raw)
        anchors = rpn.anchor_generator(images, raw["features"])
        boxes = rpn.box_coder.decode(raw["deltas"].detach(), anchors).view(len(anchors), -1, 4)
        return anchors, rpn.filter_proposals(boxes, raw["objectness"], images.image_sizes, raw["counts"])[0]

    @contextmanager
    def learning(self, learning: bool) -> Iterator[None]:
        """Let both stages work as in training, or as in answering, whatever their normalisation does."""
        parts = (self.network.rpn, self.network.roi_heads)
        before = [part.training for part in parts]
        for part in parts:
            part.training = learning
        try:
            yield
        finally:
            for part, mode in zip(parts, before, strict=True):
                part.training = mode

    def losses(self, raw: Any, box: Tensor, box_label: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Compute the losses of both stages, as often as there are images."""
        return self.learned(raw, self.truth(box, box_label))

    def learned(self, raw: Any, targets: list[dict[str, Tensor]]) -> tuple[dict[str, Tensor], Tensor]:
        """Compute the losses of both stages on what torchvision calls targets."""
        rpn = self.network.rpn
        with self.learning(True):
            anchors, proposals = self.proposals(raw)
            labels, boxes = rpn.assign_targets_to_anchors(anchors, targets)
            wanted = rpn.box_coder.encode(boxes, anchors)
            objectness, first_box = rpn.compute_loss(raw["objectness"].view(-1, 1), raw["deltas"], labels, wanted)
            _, second = self.network.roi_heads(raw["maps"], proposals, self.images(raw).image_sizes, targets)
        names = {"loss_classifier": "loss_class", "loss_box_reg": "loss_box", "loss_mask": "loss_mask"}
        means = {names[key]: value for key, value in second.items()}
        means |= {"loss_objectness": objectness, "loss_proposal_box": first_box}
        size = float(len(targets))
        return {name: value * size for name, value in means.items()}, torch.tensor(size, device=raw["objectness"].device)

    def answers(self, raw: Any) -> list[dict[str, Tensor]]:
        """Let both stages answer, image by image."""
        with self.learning(False):
            _, proposals = self.proposals(raw)
            found: list[dict[str, Tensor]] = self.network.roi_heads(raw["maps"], proposals, self.images(raw).image_sizes)[0]
        return found

    def detect(self, raw: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Let the second stage keep the best boxes."""
        return self.found(self.answers(raw))
