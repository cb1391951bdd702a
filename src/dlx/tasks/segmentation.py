"""Giving every pixel a class."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Literal

import torch
from pydantic import NonNegativeFloat
from torch import Tensor, nn

from dlx.core import Batch, Loss, Shown, Task
from dlx.errors import ComponentError
from dlx.registry import tasks
from dlx.tasks.class_weights import ClassWeights
from dlx.tasks.class_weights import class_weights as weights_of
from dlx.tasks.pixel_losses import PIXEL_LOSSES, dice, lovasz, over_images, weight

SHOWN = 4  # images of a picture


@tasks("semantic_segmentation")
class SemanticSegmentation(Task):
    """Give every pixel a class.

    The model gives logits (B, num_classes, H, W), or a mapping with them as `out` and those of an auxiliary head as `aux`,
    whose loss counts `auxiliary` times. Pixels whose target is -1 count for nothing. Losses of pixels: cross_entropy, or
    focal (Lin et al. 2017, gamma 2); `dice` and `lovasz` (Berman et al. 2018) say how much these losses of whole images are
    worth beside it. With `views: mirror` an answer is the mean of the logits of an image and of its mirror image, turned back,
    training aside. An answer must beat the training split's most frequent class at every pixel; where the data does not
    count the pixels of its classes, the most frequent class of each image, which it would have to know.
    """

    predicts = frozenset({"label", "pixel_probability"})
    class_weights: Tensor | None
    default_metrics = ("segmentation",)
    eval_metrics = ("segmentation", "segmentation_report", "confusion_matrix")

    def __init__(
        self,
        model: nn.Module,
        num_classes: int,
        class_counts: list[int] | None = None,
        channel_mean: list[float] | None = None,
        channel_std: list[float] | None = None,
        *,
        loss: Literal["cross_entropy", "focal", "none"] = "cross_entropy",
        dice: NonNegativeFloat = 0.0,
        lovasz: NonNegativeFloat = 0.0,
        auxiliary: NonNegativeFloat = 0.4,
        class_weights: ClassWeights = None,
        views: Literal["one", "mirror"] = "one",
    ) -> None:
        super().__init__(model)
        self.num_classes, self.class_counts, self.auxiliary = num_classes, class_counts, auxiliary
        self.mean, self.std = channel_mean, channel_std
        self.views, self.loss, self.shares = views, loss, {"dice": dice, "lovasz": lovasz}
        if loss == "none" and not dice + lovasz:
            raise ComponentError("leaves nothing to learn by; give dice or lovasz a share", ("loss",))
        if class_weights == "balanced" and not class_counts:
            raise ComponentError("the data does not count its classes; give a list of weights", ("class_weights",))
        counts = torch.tensor(class_counts or [1] * num_classes, dtype=torch.float32)
        self.register_buffer("class_weights", weights_of(class_weights, counts), persistent=False)

    def outputs(self, batch: Batch) -> Mapping[str, Tensor]:
        """Run the model: logits (B, num_classes, H, W) as `out`, and as `aux` those of an auxiliary head."""
        given = self.run(batch)
        return {"out": given} if isinstance(given, Tensor) else given

    def forward(self, batch: Batch) -> Loss:
        """Compute the mean loss of the pixels that count, weighed by their classes' weights."""
        return self.weigh(self.outputs(batch), batch["target"])

    def weigh(self, outputs: Mapping[str, Tensor], target: Tensor) -> Loss:
        """Average the losses over the counted pixels; where there are several kinds, each is named for the log."""
        counted = weight(target, self.class_weights)
        sums = self.sums(outputs["out"], target)
        if "aux" in outputs and self.auxiliary:
            sums["loss_auxiliary"] = self.auxiliary * torch.stack([*self.sums(outputs["aux"], target).values()]).sum()
        means = {name: value / counted.clamp_min(1e-9) for name, value in sums.items()}
        named = {name: value.detach() for name, value in means.items()} if len(means) > 1 else {}
        return Loss(torch.stack([*means.values()]).sum(), counted, scalars=named)

    def sums(self, logits: Tensor, target: Tensor) -> dict[str, Tensor]:
        """Sum each loss of an output over the counted pixels."""
        found = {}
        if self.loss != "none":
            found["loss_pixel"] = PIXEL_LOSSES[self.loss](logits.float(), target, self.class_weights)
        for name, function in (("dice", dice), ("lovasz", lovasz)):
            if share := self.shares[name]:
                found[f"loss_{name}"] = share * over_images(function, logits, target, self.class_weights)
        return found

    def predict(self, batch: Batch) -> Batch:
        """Give every pixel a label (B, H, W), and the classes' probabilities (B, C, H, W)."""
        outputs = self.outputs(batch) if self.views == "one" else self.averaged(batch)
        logits = outputs["out"].float()
        return {"pixel_probability": logits.softmax(1), "label": logits.argmax(1), "outputs": outputs}

    def averaged(self, batch: Batch) -> Mapping[str, Tensor]:
        """Average the outputs for images and for their mirror images."""
        mirrored = self.outputs({**batch, "input": batch["input"].flip(-1)})
        return {name: (output + mirrored[name].flip(-1)) / 2 for name, output in self.outputs(batch).items()}

    def score(self, prediction: Batch, batch: Batch) -> Loss:
        """Compute the loss of a prediction, as training does."""
        return self.weigh(prediction["outputs"], batch["target"])

    def baseline(self, batch: Batch) -> Batch:
        """Give all pixels of an image one class, the most frequent."""
        target = batch["target"]
        if self.class_counts:
            likely = torch.full((len(target),), self.class_counts.index(max(self.class_counts)), device=target.device)
        else:
            likely = torch.stack([(target == c).sum((1, 2)) for c in range(self.num_classes)]).argmax(0)
        label = likely[:, None, None].expand_as(target)
        return {"label": label, "pixel_probability": nn.functional.one_hot(label, self.num_classes).movedim(-1, 1).float()}

    def show(self, batch: Batch, prediction: Batch) -> Mapping[str, Shown]:
        """Draw images, and beside each the truth and the answer over it."""
        if self.mean is None or self.std is None:
            return {}
        from dlx.pictures.figures import pixels
        from dlx.pictures.overlays import beside

        images, target, label = (value[:SHOWN].cpu() for value in (batch["input"], batch["target"], prediction["label"]))
        return {"segmentation": beside(pixels(images.float().numpy(), self.mean, self.std), target.numpy(), label.numpy())}

    def verify(self, batch: Batch) -> None:
        """Refuse data that gives no class a pixel, and a model whose output is not one row of logits a pixel."""
        if "target" not in batch or batch["target"].ndim != 3:
            raise ComponentError("learns a class of every pixel, and the data gives none; it wants images with masks")
        self.refuse_unread(batch)
        size = batch["target"].shape[1:]
        for name, output in self.outputs(batch).items():
            if output.ndim != 4 or output.shape[2:] != size:
                shapes = f"an output of shape {tuple(output.shape[1:])} for masks of {size[0]}x{size[1]}"
                raise ComponentError(f"gives {shapes}; `{name}` must be (num_classes, height, width)")
            if output.shape[1] != self.num_classes:
                raise ComponentError(f"gives {output.shape[1]} values a pixel, but the data has {self.num_classes} classes")
