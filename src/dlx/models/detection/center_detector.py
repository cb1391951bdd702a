"""A small detector without anchors: every place of some maps tells the box around it, and how sure it is of each class."""

from __future__ import annotations

import math
from typing import Annotated, Any, Literal

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn
from torchvision.ops import complete_box_iou_loss

from dlx.errors import ComponentError
from dlx.layers.building import IMAGE, require
from dlx.models.detection.assignment import assign
from dlx.models.detection.geometry import Selection, select, stacked
from dlx.models.residual_encoder import ResidualEncoder, convolution, enlarged, he_initialized
from dlx.registry import models

PRIOR = 0.01  # how sure an untrained model is of every class
SIDE = 2.0  # distance, in strides, from a place to each side of the box that an untrained model tells
BOX_SHARE = 2.0  # what the boxes count beside the classes


class Head(nn.Module):
    """A map (B, inputs, H, W) to scores (B, H * W, classes) and distances (B, H * W, 4) to left, top, right and bottom."""

    def __init__(self, inputs: int, classes: int) -> None:
        super().__init__()
        self.for_class, self.for_box = convolution(inputs, inputs, 3), convolution(inputs, inputs, 3)
        he_initialized(self)
        self.classes, self.sides = nn.Conv2d(inputs, classes, 1), nn.Conv2d(inputs, 4, 1)
        for layer, start in ((self.classes, -math.log(1 / PRIOR - 1)), (self.sides, math.log(SIDE))):
            nn.init.normal_(layer.weight, std=0.01)
            layer.bias = nn.Parameter(torch.full((layer.out_channels,), start))

    def forward(self, maps: Tensor) -> tuple[Tensor, Tensor]:
        scores, sides = self.classes(self.for_class(maps)), self.sides(self.for_box(maps))
        return scores.flatten(2).transpose(1, 2), sides.flatten(2).transpose(1, 2)


@models("center_detector")
class CenterDetector(nn.Module):
    """A small residual encoder, a pyramid of its last `levels` maps, and a head for each; it trains from scratch on two cores.

    input (B, C, H, W) -> {"logits" (B, A, num_classes), "box" (B, A, 4), "point" (A, 2), "size" (2,)}: of every place the
    logits of how well its box fits an object of each class, and the box, in pixels. `widths`: channels of the maps, each of
    half the resolution of the one before, the first `stride` times smaller than the image. Places are matched as in TOOD
    (Feng et al. 2021); a score is learned as the overlap it stands for (Li et al. 2020), boxes by complete IoU (Zheng et
    al. 2020).
    """

    def __init__(
        self,
        num_classes: int,
        input_shape: list[int],
        *,
        widths: Annotated[tuple[PositiveInt, ...], Field(min_length=2, max_length=6)] = (32, 64, 128, 192),
        depth: PositiveInt = 1,
        stride: Literal[1, 2, 4] = 4,
        levels: PositiveInt = 3,
        pyramid: Annotated[int, Field(ge=4)] = 64,
        selection: Selection,
    ) -> None:
        super().__init__()
        require(tuple(input_shape), IMAGE)
        if levels > len(widths):
            raise ComponentError(f"there are only {len(widths)} widths", ("levels",))
        self.selection, self.levels = selection, levels
        self.strides = [stride * 2**n for n in range(len(widths))][-levels:]
        if min(input_shape[1:]) < self.strides[-1]:
            raise ComponentError(
                f"wants images of at least {self.strides[-1]}x{self.strides[-1]}, or fewer widths", ("widths",)
            )
        self.encoder = ResidualEncoder(input_shape[0], widths, depth, stride)
        self.beside = nn.ModuleList(convolution(width, pyramid, 1) for width in widths[-levels:])
        self.blend = nn.ModuleList(convolution(pyramid, pyramid, 3) for _ in widths[-levels:])
        he_initialized(self.beside)
        he_initialized(self.blend)
        self.heads = nn.ModuleList(Head(pyramid, num_classes) for _ in widths[-levels:])

    def forward(self, input: Tensor) -> dict[str, Tensor]:
        maps = self.pyramid(input)
        given = [head(level) for head, level in zip(self.heads, maps, strict=True)]
        point, stride = places([level.shape[2:] for level in maps], self.strides, input.device)
        sides = torch.cat([sides for _, sides in given], 1).float().clamp(max=6).exp() * stride
        box = torch.cat((point - sides[..., :2], point + sides[..., 2:]), 2)
        size = torch.tensor([input.shape[3], input.shape[2]], device=input.device)
        return {"logits": torch.cat([scores for scores, _ in given], 1).float(), "box": box, "point": point, "size": size}

    def pyramid(self, input: Tensor) -> list[Tensor]:
        """Compute the maps that the heads read, the finest first."""
        coarser: Tensor | None = None
        maps = list[Tensor]()
        for narrow, blend, given in reversed(
            list(zip(self.beside, self.blend, self.encoder(input)[-self.levels :], strict=True))
        ):
            own = narrow(given)
            coarser = blend(own if coarser is None else own + enlarged(coarser, own))
            maps.insert(0, coarser)
        return maps

    def losses(self, raw: Any, box: Tensor, box_label: Tensor) -> tuple[dict[str, Tensor], Tensor]:
        """Sum the losses of classes and boxes; what they are divided by is the quality of what was matched, 1 an image at least."""
        logits, found = raw["logits"], raw["box"]
        if not box.shape[1]:
            box, box_label = box.new_zeros(len(box), 1, 4), box_label.new_full((len(box), 1), -1)
        wanted = assign(logits.sigmoid(), found, raw["point"], 1.01 * self.strides[0], box, box_label)
        target = F.one_hot(wanted.label, logits.shape[2]) * wanted.quality[:, :, None]
        taken, quality = wanted.taken, wanted.quality
        overlap = complete_box_iou_loss(found[taken], wanted.box[taken], reduction="none")
        sums = {
            "loss_class": _quality_focal_loss(logits, target),
            "loss_box": BOX_SHARE * (overlap * quality[taken]).sum(),
        }
        return sums, quality.sum(1).clamp_min(1).sum()

    def detect(self, raw: Any) -> tuple[Tensor, Tensor, Tensor]:
        """Keep the surest boxes of every image, within its edges."""
        edge = raw["size"].repeat(2)
        box = torch.minimum(raw["box"].clamp_min(0), edge)
        rows = [select(own, score, self.selection) for own, score in zip(box, raw["logits"].sigmoid(), strict=True)]
        found = stacked(rows)
        return found[0], found[1], found[2]


def _quality_focal_loss(logits: Tensor, target: Tensor) -> Tensor:
    """Sum the cross-entropies of scores, each times the square of its error, without which the background drowns small objects."""
    entropy = F.binary_cross_entropy_with_logits(logits, target, reduction="none")
    return ((target - logits.sigmoid()).square() * entropy).sum()


def places(shapes: list[Any], strides: list[int], device: Any) -> tuple[Tensor, Tensor]:
    """List the middles of all cells of some maps, in pixels (A, 2), x before y, and their strides (A, 1)."""
    points, sizes = [], []
    for (height, width), stride in zip(shapes, strides, strict=True):
        y, x = torch.meshgrid(*(torch.arange(side, device=device) for side in (height, width)), indexing="ij")
        points.append((torch.stack((x, y), -1).view(-1, 2) + 0.5) * stride)
        sizes.append(torch.full((height * width, 1), float(stride), device=device))
    return torch.cat(points), torch.cat(sizes)
