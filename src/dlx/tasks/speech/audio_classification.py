"""Telling what a recording is, such as which word."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field
from torch import nn

from dlx.core import Batch, Shown
from dlx.registry import tasks
from dlx.tasks.class_weights import ClassWeights
from dlx.tasks.classification import Classification, ClassificationLoss

DRAWN = 9  # recordings in a picture
BACKGROUND = {"unknown", "silence"}  # classes of what is no keyword


@tasks("audio_classification")
class AudioClassification(Classification):
    """Choose one class of several for a recording, such as a spoken word; losses are those of `classification`.

    Where there are classes `unknown` or `silence`, the others are keywords: what is taken for one falsely, and what is missed,
    is counted apart.
    """

    def __init__(
        self,
        model: nn.Module,
        num_classes: int,
        class_names: list[str],
        processor: Any,
        class_counts: list[int] | None = None,
        *,
        loss: ClassificationLoss = "cross_entropy",
        class_weights: ClassWeights = None,
        label_smoothing: Annotated[float, Field(ge=0, lt=1)] = 0.0,
    ) -> None:
        super().__init__(
            model, num_classes, class_counts, loss=loss, class_weights=class_weights, label_smoothing=label_smoothing
        )
        self.names, self.processor = class_names, processor
        self.eval_metrics = tuple(name for name in self.eval_metrics if name != "mistakes")  # they are drawn of images
        if BACKGROUND & set(class_names):
            self.eval_metrics = ("keyword_errors", *self.eval_metrics)

    def show(self, batch: Batch, prediction: Batch) -> Mapping[str, Shown]:
        """Draw some recordings with their classes and the answers."""
        from dlx.pictures.spectrograms import Heard, spectrograms

        labels, sure = prediction["label"], prediction["probability"].amax(1)
        rows = sorted(range(len(labels)), key=lambda row: (labels[row] == batch["target"][row]).item())[:DRAWN]
        panels = [
            Heard(
                f"{self.names[batch['target'][row]]}: {self.names[labels[row]]} ({sure[row]:.2f})",
                batch["input"][row, : int(batch["length"][row])].cpu().numpy(),
                self.processor.step_seconds,
                [],
            )
            for row in rows
        ]
        return {"heard": spectrograms(panels, columns=3)}
