"""Average precision of the masks of objects as COCO defines it, by faster-coco-eval (extra: detection)."""

from __future__ import annotations

from typing import Any, ClassVar

import numpy as np
import torch.nn.functional as F
from torch import Tensor

from dlx.core import Batch
from dlx.metrics.detection.coco import NUMBERS, Boxes
from dlx.registry import metrics


@metrics("coco_mask_ap")
class CocoMaskAP(Boxes):
    """Average precision of masks as COCO defines it, over IoU .5 to .95, at .5 and .75, of small, medium and large objects.

    Masks are compared in pixels of the original images where a batch tells their size. Equal to pycocotools.
    """

    reads = frozenset({"box_score", "box_label", "mask"})
    kind: ClassVar[str] = "segm"

    def update(self, prediction: Batch, batch: Batch) -> None:
        label = batch["box_label"].cpu().numpy()
        crowd = batch["crowd"].cpu().numpy() if "crowd" in batch else np.zeros(label.shape, bool)
        score = prediction["box_score"].double().cpu().numpy()
        self.true += self.rows(batch, batch, label, crowd)
        self.found += self.rows(prediction, batch, prediction["box_label"].cpu().numpy(), score)

    def rows(self, words: Batch, batch: Batch, label: np.ndarray, last: np.ndarray) -> list[tuple[Any, ...]]:
        """List the masks of each image, packed, with their labels and what else there is of them."""
        return [
            ([self.packed(mask, batch, row) for mask in words["mask"][row][: len(label[row])][label[row] >= 0]], kept, more)
            for row in range(len(label))
            for kept, more in [(label[row][label[row] >= 0], last[row][label[row] >= 0])]
        ]

    def packed(self, mask: Tensor, batch: Batch, row: int) -> dict[str, Any]:
        """Encode a mask (H, W) by run lengths."""
        from faster_coco_eval import mask as runs

        if "size" in batch and "place" in batch:
            mask = original(mask, batch["place"][row].tolist(), batch["size"][row].tolist())
        encoded: dict[str, Any] = runs.encode(np.asfortranarray(mask.cpu().numpy().astype(np.uint8)))
        return encoded

    def described(self, mask: Any) -> dict[str, Any]:
        """Describe an object as COCO does."""
        from faster_coco_eval import mask as runs

        return {"segmentation": mask, "area": float(runs.area(mask)), "bbox": [float(side) for side in runs.toBbox(mask)]}

    def extent(self, image: int) -> dict[str, int]:
        """Tell an image's height and width, where it has masks."""
        some = [mask["size"] for rows in (self.true, self.found) for mask in rows[image][0]]
        return dict(zip(("height", "width"), map(int, some[0] if some else (1, 1)), strict=True))

    def compute(self) -> dict[str, float]:
        evaluation = self.evaluated()
        if evaluation is None:
            return {"mask_ap": 0.0, "mask_ap50": 0.0, "mask_ap75": 0.0}
        evaluation.summarize()
        return {f"mask_{name}": float(evaluation.stats[n]) for name, n in NUMBERS.items() if evaluation.stats[n] >= 0}


def original(mask: Tensor, place: list[float], size: list[int]) -> Tensor:
    """Bring a mask (H, W) to the pixels of the original image (height, width), of which `place` lies in it."""
    left, top, width, height = (round(side) for side in place)
    before = (max(-left, 0), max(left + width - mask.shape[1], 0), max(-top, 0), max(top + height - mask.shape[0], 0))
    whole = F.pad(mask.float(), before)  # where a crop has left something out, there is no object
    left, top = max(left, 0), max(top, 0)
    cut = whole[top : top + height, left : left + width]
    return F.interpolate(cut[None, None], (size[1], size[0]), mode="nearest-exact")[0, 0] > 0
