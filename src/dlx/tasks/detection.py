"""Saying where in an image objects are, and of which class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

import torch
from pydantic import Field
from torch import Tensor, nn

from dlx.core import Batch, Detector, Loss, MaskDetector, Shown, Task
from dlx.errors import ComponentError
from dlx.registry import tasks

SHOWN = 4  # images of a picture
OWN_WORDS = ("box", "box_label", "crowd", "size", "place", "mask")
NOTHING = -1  # what boxes and labels are padded with


@tasks("detection")
class Detection(Task):
    """Find the objects of an image: their boxes and classes.

    The model is a detector, such as center_detector or one of torchvision's. Its losses are logged by name, in training and
    in evaluation. Boxes around a crowd are not learned. Pictures show the boxes of at least `drawn_score`; all of them are
    answered and counted. What an answer must beat: no boxes at all.
    """

    predicts = frozenset({"box", "box_score", "box_label"})
    default_metrics: ClassVar[tuple[str, ...]] = ("coco_ap",)
    eval_metrics: tuple[str, ...] = ("coco_ap", "coco_ap_report", "box_confusion")
    wanted: ClassVar[Any] = Detector
    finds: ClassVar[str] = "boxes, such as center_detector"
    model: Any

    def __init__(
        self,
        model: nn.Module,
        num_classes: int,
        class_names: list[str] | None = None,
        channel_mean: list[float] | None = None,
        channel_std: list[float] | None = None,
        *,
        drawn_score: Annotated[float, Field(ge=0, le=1)] = 0.3,
    ) -> None:
        super().__init__(model)
        if not isinstance(model, self.wanted):
            raise ComponentError(f"wants a model that finds {self.finds}")
        self.num_classes, self.mean, self.std = num_classes, channel_mean, channel_std
        self.drawn_score = drawn_score
        self.class_names = class_names or [str(n) for n in range(num_classes)]

    def forward(self, batch: Batch) -> Loss:
        """Compute the loss of a batch, each of its kinds named for the log."""
        return self.weigh(self.run(batch), batch)

    def weigh(self, raw: Any, batch: Batch) -> Loss:
        """Average the losses of a model's output over what was matched."""
        sums, matched = self.sums(raw, batch)
        means = {name: value / matched for name, value in sums.items()}
        return Loss(torch.stack([*means.values()]).sum(), matched, scalars={k: v.detach() for k, v in means.items()})

    def sums(self, raw: Any, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Sum the losses, and say what to divide them by."""
        found: tuple[dict[str, Tensor], Tensor] = self.model.losses(raw, **self.truth(batch))
        return found

    def truth(self, batch: Batch) -> dict[str, Tensor]:
        """Return the boxes and labels to be learned: crowds are none."""
        label = batch["box_label"]
        return {"box": batch["box"], "box_label": label.masked_fill(batch["crowd"], NOTHING) if "crowd" in batch else label}

    def predict(self, batch: Batch) -> Batch:
        """Find boxes (B, N, 4), their scores and labels (B, N), padded with -1, and whether each is drawn (B, N)."""
        raw = self.run(batch)
        box, score, label = self.model.detect(raw)
        return {"box": box, "box_score": score, "box_label": label, "drawn": self.drawn(score, label), "raw": raw}

    def drawn(self, score: Tensor, label: Tensor) -> Tensor:
        """Tell which boxes are sure enough to be in a picture."""
        return (label != NOTHING) & (score >= self.drawn_score)

    def score(self, prediction: Batch, batch: Batch) -> Loss:
        """Compute the loss of a prediction, as training does."""
        return self.weigh(prediction["raw"], batch)

    def baseline(self, batch: Batch) -> Batch:
        """Find nothing."""
        size, device = len(batch["input"]), batch["input"].device
        label = torch.zeros(size, 0, dtype=torch.int64, device=device)
        return {"box": torch.zeros(size, 0, 4, device=device), "box_score": label.float(), "box_label": label}

    def show(self, batch: Batch, prediction: Batch) -> Mapping[str, Shown]:
        """Draw images with their true boxes, and beside each the same image with the boxes found."""
        if self.mean is None or self.std is None:
            return {}
        from dlx.pictures.figures import pixels
        from dlx.pictures.overlays import boxes_beside

        def listed(words: Batch, kept: Tensor) -> list[tuple[Any, Any]]:
            rows = zip(words["box"], words["box_label"], kept, strict=False)
            return [(box[keep].tolist(), label[keep].tolist()) for box, label, keep in rows][:SHOWN]

        images = pixels(batch["input"][:SHOWN].float().cpu().numpy(), self.mean, self.std)
        found = listed(prediction, prediction["drawn"])
        return {"detection": boxes_beside(images, listed(batch, batch["box_label"] >= 0), found, self.class_names)}

    def verify(self, batch: Batch) -> None:
        """Refuse data without boxes, and a model that cannot learn from them or answer with them."""
        if "box" not in batch:
            raise ComponentError("learns boxes, and the data gives none")
        self.refuse_unread({word: value for word, value in batch.items() if word not in OWN_WORDS})
        if bool((batch["box_label"] >= self.num_classes).any()):
            raise ComponentError(f"has {self.num_classes} classes, and the data's boxes more")
        prediction = self.predict(batch)
        self.score(prediction, batch)


@tasks("instance_segmentation")
class InstanceSegmentation(Detection):
    """Find the objects of an image: their boxes, classes and pixels.

    The model finds masks too, as torchvision's Mask R-CNN does. What an answer must beat: nothing found at all.
    """

    predicts = frozenset({"box", "box_score", "box_label", "mask"})
    default_metrics = ("coco_mask_ap", "coco_ap")
    eval_metrics = ("coco_mask_ap", "coco_ap", "coco_ap_report", "box_confusion")
    wanted: ClassVar[Any] = MaskDetector
    finds: ClassVar[str] = "masks, such as maskrcnn_resnet50_fpn"

    def sums(self, raw: Any, batch: Batch) -> tuple[dict[str, Tensor], Tensor]:
        """Sum the losses, and say what to divide them by."""
        found: tuple[dict[str, Tensor], Tensor] = self.model.mask_losses(raw, **self.truth(batch), mask=batch["mask"])
        return found

    def predict(self, batch: Batch) -> Batch:
        """Find boxes, scores and labels as detection does, and masks bool (B, N, H, W) in pixels of `input`."""
        raw = self.run(batch)
        box, score, label, mask = self.model.detect_masks(raw)
        return {"box": box, "box_score": score, "box_label": label, "mask": mask, "drawn": self.drawn(score, label), "raw": raw}

    def baseline(self, batch: Batch) -> Batch:
        """Find nothing."""
        height, width = batch["input"].shape[2:]
        return {**super().baseline(batch), "mask": torch.zeros(len(batch["input"]), 0, height, width, dtype=torch.bool)}

    def verify(self, batch: Batch) -> None:
        """Refuse data without masks beside the boxes, and a model that cannot learn from them or answer with them."""
        if "mask" not in batch:
            raise ComponentError("learns a mask for every box, and the data gives none")
        super().verify(batch)
