"""Answering with numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlx.core import Batch, Loss, Task
from dlx.errors import Misfit
from dlx.registry import tasks

LOSSES: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "squared_error": F.mse_loss,
    "absolute_error": F.l1_loss,
    "huber": F.huber_loss,
    "smooth_l1": F.smooth_l1_loss,
}


@tasks("regression")
class Regression(Task):
    """Answer with numbers.

    The model gives (B, num_outputs). The loss is taken on targets standardised by the training split's mean and
    deviation unless `standardize` is off; predictions and metrics are in the target's own units always.
    """

    predicts = frozenset({"value"})
    target_kind = "number"
    average: Tensor
    shift: Tensor
    scale: Tensor
    default_metrics = ("rmse", "mae", "r2")

    def __init__(
        self,
        model: nn.Module,
        num_outputs: int,
        target_mean: list[float],
        target_std: list[float],
        *,
        loss: Literal["squared_error", "absolute_error", "huber", "smooth_l1"] = "squared_error",
        standardize: bool = True,
    ) -> None:
        super().__init__(model)
        self.num_outputs, self.loss = num_outputs, LOSSES[loss]
        mean = torch.tensor(target_mean)
        self.register_buffer("average", mean, persistent=False)
        self.register_buffer("shift", mean if standardize else torch.zeros_like(mean), persistent=False)
        scale = torch.tensor([s or 1.0 for s in target_std])
        self.register_buffer("scale", scale if standardize else torch.ones_like(scale), persistent=False)

    def forward(self, batch: Batch) -> Loss:
        """Compute the mean loss of a batch."""
        return self.weigh(self.run(batch), batch["target"])

    def weigh(self, output: Tensor, target: Tensor) -> Loss:
        """Average the loss over samples and outputs."""
        return Loss(self.loss(output, (target - self.shift) / self.scale), len(target))

    def predict(self, batch: Batch) -> Batch:
        """Give values (B, num_outputs) in the target's units."""
        output = self.run(batch).float()
        return {"output": output, "value": output * self.scale + self.shift}

    def score(self, prediction: Batch, batch: Batch) -> Loss:
        """Compute the loss of a prediction."""
        return self.weigh(prediction["output"], batch["target"])

    def baseline(self, batch: Batch) -> Batch:
        """Answer the training split's mean."""
        return {"value": self.average.expand(len(batch["target"]), -1)}

    def verify(self, batch: Batch) -> None:
        """Refuse a model whose output is not one row of values a sample."""
        self.refuse_unread(batch)
        output = self.run(batch)
        if tuple(output.shape[1:]) != (self.num_outputs,):
            given = f"{output.shape[-1]} values" if output.ndim == 2 else f"an output of shape {tuple(output.shape[1:])}"
            raise Misfit(f"gives {given}, but the data has {self.num_outputs} target value{'s' * (self.num_outputs > 1)}")
