"""Answering with numbers."""

from __future__ import annotations

from collections.abc import Callable
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlx.core import WITHOUT_FLOAT64, Batch, Loss, Task
from dlx.errors import ComponentError
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
    deviation unless `standardize` is off; predictions and metrics are in the target's own units always, in float64: the
    spread of a target may be small beside its size.
    """

    predicts = frozenset({"value"})
    target_kind = "number"
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
        self.average = tuple(target_mean)
        self.shift = tuple(target_mean) if standardize else (0.0,) * num_outputs
        self.scale = tuple(std or 1.0 for std in target_std) if standardize else (1.0,) * num_outputs
        self.rows: dict[tuple, Tensor] = {}

    def row(self, values: tuple[float, ...], device: torch.device) -> Tensor:
        """Return numbers, one an output, as float64 on a device."""
        # No buffers: a module with float64 cannot be moved where that type is unknown, and .half() would round them.
        key = (values, device)
        if key not in self.rows:
            self.rows[key] = torch.tensor(values, dtype=torch.float64, device=device)
        return self.rows[key]

    def forward(self, batch: Batch) -> Loss:
        """Compute the mean loss of a batch."""
        return self.weigh(self.run(batch), batch["target"])

    def weigh(self, output: Tensor, target: Tensor) -> Loss:
        """Average the loss over samples and outputs."""
        shift, scale = self.row(self.shift, target.device), self.row(self.scale, target.device)
        standard = ((target.double() - shift) / scale).float()
        return Loss(self.loss(output, standard.to(output.device)), len(target))

    def predict(self, batch: Batch) -> Batch:
        """Give values (B, num_outputs) in the target's units."""
        output = self.run(batch).float()
        device = torch.device("cpu") if output.device.type in WITHOUT_FLOAT64 else output.device
        value = output.to(device).double() * self.row(self.scale, device) + self.row(self.shift, device)
        return {"output": output, "value": value}

    def score(self, prediction: Batch, batch: Batch) -> Loss:
        """Compute the loss of a prediction."""
        return self.weigh(prediction["output"], batch["target"])

    def baseline(self, batch: Batch) -> Batch:
        """Answer the training split's mean."""
        return {"value": self.row(self.average, batch["target"].device).expand(len(batch["target"]), -1)}

    def verify(self, batch: Batch) -> None:
        """Refuse a model whose output is not one row of values a sample."""
        self.refuse_unread(batch)
        output = self.run(batch)
        if tuple(output.shape[1:]) != (self.num_outputs,):
            given = f"{output.shape[-1]} values" if output.ndim == 2 else f"an output of shape {tuple(output.shape[1:])}"
            raise ComponentError(
                f"gives {given}, but the data has {self.num_outputs} target value{'s' * (self.num_outputs > 1)}"
            )
