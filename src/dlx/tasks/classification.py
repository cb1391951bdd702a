"""Choosing one class of several."""

from __future__ import annotations

from typing import Annotated, Literal

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from dlx.core import Batch, Loss, Task
from dlx.errors import ComponentError
from dlx.registry import tasks
from dlx.tasks.class_weights import ClassWeights
from dlx.tasks.class_weights import class_weights as weights_of
from dlx.tasks.views import Views, views

ClassificationLoss = Literal["cross_entropy", "focal", "squared_error", "hinge", "perceptron"]


@tasks("classification")
class Classification(Task):
    """Choose one class of several.

    The model gives logits (B, num_classes); with two classes it may give one logit (B, 1), that of the second.
    Losses: cross_entropy; focal (Lin et al. 2017, gamma 2); squared_error between softmax and one-hot (Brier 1950);
    hinge (Crammer and Singer 2001); perceptron (Rosenblatt 1958: with SGD, lr 1 and batch size 1, his rule).
    Of images, an answer may average the logits of several `views`, training aside: mirror adds the mirror image, shifted
    also both moved a little to the upper left and the lower right, at two and six times the cost.
    """

    predicts = frozenset({"logits", "probability", "label"})
    target_kind = "class"
    class_weights: Tensor | None
    prior: Tensor
    default_metrics = ("accuracy", "f1", "confusion_matrix")
    eval_metrics: tuple[str, ...] = ("accuracy", "f1", "calibration_error", "report", "confusion_matrix", "mistakes")

    def __init__(
        self,
        model: nn.Module,
        num_classes: int,
        class_counts: list[int] | None = None,
        input_shape: list[int] | None = None,
        *,
        loss: ClassificationLoss = "cross_entropy",
        class_weights: ClassWeights = None,
        label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0,
        views: Views = "one",
    ) -> None:
        super().__init__(model)
        self.num_classes, self.label_smoothing, self.views = num_classes, label_smoothing, views
        self.loss = LOSSES[loss]
        if num_classes > 5:  # with fewer, the best five are all
            self.eval_metrics = ("top_k", *self.eval_metrics)
        if label_smoothing and loss != "cross_entropy":
            raise ComponentError(f"only cross_entropy smooths labels, not {loss}", ("label_smoothing",))
        if views != "one" and input_shape and len(input_shape) != 3:
            raise ComponentError(f"'{views}' wants images, and the data has none; leave it out", ("views",))
        counts = torch.tensor(class_counts or [1] * num_classes, dtype=torch.float32)
        self.register_buffer("prior", counts / counts.sum(), persistent=False)
        self.register_buffer("class_weights", weights_of(class_weights, counts), persistent=False)

    def logits(self, batch: Batch) -> Tensor:
        """Run the model; one logit becomes two, of which the first is 0."""
        output = self.run(batch)
        return F.pad(output, (1, 0)) if output.shape[-1] == 1 else output

    def forward(self, batch: Batch) -> Loss:
        """Compute the mean loss of a batch, weighed by its samples or their class weights."""
        return self.weigh(self.logits(batch), batch["target"])

    def weigh(self, logits: Tensor, target: Tensor) -> Loss:
        """Average the samples' losses as PyTorch does: by the weights of their classes."""
        weights, shares = self.class_weights, target.is_floating_point()
        weight = len(target) if weights is None or shares else weights[target].sum()
        if self.loss is cross_entropy:
            value = F.cross_entropy(logits, target, weights, label_smoothing=self.label_smoothing)
        elif shares:
            raise ComponentError("mixed images need the loss cross_entropy", ("loss",))
        elif weights is None:
            value = self.loss(logits, target).mean()
        else:
            value = (self.loss(logits, target) * weights[target]).sum() / weight
        return Loss(value, weight)

    def predict(self, batch: Batch) -> Batch:
        """Give logits (B, C), their softmax, and the label (B,) of the largest."""
        logits = (self.logits(batch) if self.views == "one" else self.averaged(batch)).float()
        return {"logits": logits, "probability": logits.softmax(-1), "label": logits.argmax(-1)}

    def averaged(self, batch: Batch) -> Tensor:
        """Average the logits of the views of a batch."""
        seen = [weight * self.logits({**batch, "input": images}) for weight, images in views(batch, self.views)]
        return torch.stack(seen).sum(0)

    def score(self, prediction: Batch, batch: Batch) -> Loss:
        """Compute the loss of a prediction's logits."""
        return self.weigh(prediction["logits"], batch["target"])

    def baseline(self, batch: Batch) -> Batch:
        """Answer the training split's most frequent class."""
        logits = self.prior.clamp_min(1e-12).log().expand(len(batch["target"]), -1)
        return {"logits": logits, "probability": logits.exp(), "label": logits.argmax(-1)}

    def verify(self, batch: Batch) -> None:
        """Refuse a model whose output is not one row of logits a sample."""
        if "target" not in batch or batch["target"].ndim != (2 if batch["target"].is_floating_point() else 1):
            raise ComponentError("learns one class of a whole sample, and the data gives no such `target`")
        self.refuse_unread(batch)
        if self.views != "one":
            views(batch, self.views)
        output, size = self.run(batch), len(batch["target"])
        fits = output.ndim == 2 and output.shape[-1] in ({self.num_classes, 1} if self.num_classes == 2 else {self.num_classes})
        if not fits:
            given = f"{output.shape[-1]} values" if output.ndim == 2 else f"an output of shape {tuple(output.shape[1:])}"
            raise ComponentError(f"gives {given}, but the data has {self.num_classes} classes")
        total = output.float().sum(-1)
        if output.shape[-1] > 1 and size > 1 and output.min() >= 0 and torch.allclose(total, torch.ones_like(total), atol=1e-4):
            raise ComponentError("gives probabilities, but the loss takes logits: leave out the last softmax")


def cross_entropy(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy (B,)."""
    return F.cross_entropy(logits, target, reduction="none")


def focal(logits: Tensor, target: Tensor) -> Tensor:
    """Cross-entropy that plays down what is already right (B,)."""
    entropy = cross_entropy(logits, target)
    return (1 - torch.exp(-entropy)).square() * entropy


def squared_error(logits: Tensor, target: Tensor) -> Tensor:
    """Squared distance of the probabilities to the truth (B,)."""
    return (logits.softmax(-1) - F.one_hot(target, logits.shape[-1])).square().sum(-1)


def margin(logits: Tensor, target: Tensor) -> Tensor:
    """Logit of the true class less the largest of the others (B,)."""
    true = logits.gather(-1, target[:, None])
    others = logits.scatter(-1, target[:, None], float("-inf"))
    return true.squeeze(-1) - others.amax(-1)


def hinge(logits: Tensor, target: Tensor) -> Tensor:
    """How much the margin falls short of 1 (B,)."""
    return F.relu(1 - margin(logits, target))


def perceptron(logits: Tensor, target: Tensor) -> Tensor:
    """How wrong the margin is (B,); a margin of exactly 0 counts as wrong, so that zero weights learn."""
    value = margin(logits, target)
    return torch.where(value <= 0, -value, torch.zeros_like(value))


LOSSES = {f.__name__: f for f in (cross_entropy, focal, squared_error, hinge, perceptron)}
