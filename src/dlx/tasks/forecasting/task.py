"""Saying how series go on."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from dlx.core import WITHOUT_FLOAT64, Batch, Loss, Shown, Task
from dlx.errors import ComponentError
from dlx.registry import tasks
from dlx.tasks.deferred import Deferred
from dlx.tasks.forecasting.heads import Gaussian, Head, Point, Quantiles, StudentT
from dlx.tasks.forecasting.naive import NAIVE, naive_forecasts

Losses = Literal["squared_error", "absolute_error", "huber", "quantiles", "gaussian", "student_t"]
POINT: dict[str, Callable[[Tensor, Tensor], Tensor]] = {
    "squared_error": F.mse_loss,
    "absolute_error": F.l1_loss,
    "huber": F.huber_loss,
}
OWN_WORDS = ("target_mean", "target_std", "seasonal_error", "origin")  # which tasks and metrics read, and no model
DRAWN = 6  # forecasts in a picture


def make_head(loss: Losses, levels: list[float]) -> Head:
    """Make what reads a model's numbers; raises ComponentError where levels are none."""
    if loss in POINT:
        return Point(POINT[loss])
    if levels != sorted(set(levels)) or not all(0 < level < 1 for level in levels) or 0.5 not in levels:
        raise ComponentError(
            "levels ascend within 0 and 1, and have 0.5 among them, the forecast that stands for all", ("levels",)
        )
    kinds: dict[str, Callable[[list[float]], Head]] = {"quantiles": Quantiles, "gaussian": Gaussian, "student_t": StudentT}
    return kinds[loss](levels)


@tasks("forecasting")
class Forecasting(Task):
    """Say how series go on: of L steps of the past, H to come.

    The model gives (B, H, T), or (B, H, T, P) where the loss wants P numbers a value: as many as levels for `quantiles`, two
    for `gaussian`, three for `student_t`. The loss is taken on standardised values; forecasts are in the targets' own
    units, in float64. Beside each stand four naive ones, which metrics hold it against: the last value, the drift, the
    last season once more and a moving average.
    """

    predicts = frozenset({"value", "naive", "quantile", "level"})
    target_kind = "number"
    default_metrics = ("scaled_mse", "scaled_mae", "skill")

    def __init__(
        self,
        model: nn.Module,
        horizon: int,
        num_targets: int,
        target_names: list[str],
        target_mean: list[float],
        target_std: list[float],
        season: int,
        *,
        loss: Losses = "squared_error",
        levels: list[float] | None = None,
    ) -> None:
        super().__init__(model)
        self.horizon, self.targets, self.names, self.season = horizon, num_targets, target_names, season
        self.mean, self.std = tuple(target_mean), tuple(target_std)
        self.levels = levels or [0.1, 0.5, 0.9]
        self.useless = False
        self.loss_name, self.head = loss, make_head(loss, self.levels)
        further = () if loss in POINT else ("quantile_loss", "coverage")
        self.eval_metrics = (
            "skill_interval",
            "mae_in_units",
            "rmse_in_units",
            "mase",
            "smape",
            "directional_accuracy",
            *further,
            "horizon_errors",
        )

    def answer(self, batch: Batch) -> Tensor:
        """Return the model's numbers (B, H, T, P)."""
        output = self.run(batch)
        return output[..., None] if output.ndim == 3 else output

    def forward(self, batch: Batch) -> Loss:
        """Compute the mean loss of a batch."""
        return Loss(self.head.loss(self.answer(batch), batch["target"]), len(batch["target"]))

    def in_units(self, scaled: Tensor, batch: Batch) -> Tensor:
        """Return standardised values (B, ..., T) in the targets' own units, in float64, on the CPU where a device has none.

        Where series are scaled each by itself the batch says by what.
        """
        device = torch.device("cpu") if scaled.device.type in WITHOUT_FLOAT64 else scaled.device
        fixed = {"target_mean": self.mean, "target_std": self.std}
        each = (batch[word] if word in batch else torch.tensor([fixed[word]], dtype=torch.float64) for word in fixed)
        mean, std = (one.to(device).unflatten(0, (-1, *[1] * (scaled.ndim - 2))) for one in each)
        return scaled.to(device).double() * std + mean

    def predict(self, batch: Batch) -> Batch:
        """Give values (B, H, T), the naive forecasts and, by their levels, quantiles (B, H, T, Q), in the targets' units."""
        output, history = self.answer(batch).float(), batch["input"][..., : self.targets]
        words = {
            "output": lambda: output,
            "value": lambda: self.in_units(self.head.point(output), batch),
            "naive": lambda: naive_forecasts(self.in_units(history, batch), self.horizon, self.season),
        }
        if self.loss_name not in POINT:
            words |= {
                "quantile": lambda: self.bands(output, batch),
                "level": lambda: torch.tensor(self.levels, dtype=torch.float64).expand(len(output), -1),
            }
        return Deferred(words)

    def bands(self, output: Tensor, batch: Batch) -> Tensor:
        """Return quantiles (B, H, T, Q) in the targets' own units."""
        quantiles = self.head.quantiles(output)
        assert quantiles is not None
        return self.in_units(quantiles.transpose(2, 3), batch).transpose(2, 3)

    def score(self, prediction: Batch, batch: Batch) -> Loss:
        """Compute the loss of a prediction."""
        return Loss(self.head.loss(prediction["output"], batch["target"]), len(batch["target"]))

    def verify(self, batch: Batch) -> None:
        """Refuse a model whose output is not as many numbers for every value to come as the loss wants."""
        self.refuse_unread({word: value for word, value in batch.items() if word not in OWN_WORDS})
        given, wanted = tuple(self.run(batch).shape[1:]), (self.horizon, self.targets)
        numbers = 1 if len(given) == 2 else given[-1]
        if given[:2] != wanted or len(given) > 3:
            raise ComponentError(f"gives {given} a sample; a forecast of {self.horizon} steps wants {wanted}")
        if numbers != self.head.numbers:
            told = f"gives {numbers} number{'s' * (numbers > 1)} a value, and the loss '{self.loss_name}' wants {self.head.numbers}"
            raise ComponentError(f"{told}; set model.outputs_per_value: {self.head.numbers}")

    def show(self, batch: Batch, prediction: Batch) -> Mapping[str, Shown]:
        """Draw some forecasts over what came to pass, with their bands."""
        from dlx.pictures.forecasts import Panel, forecasts

        count = len(batch["target"])
        windows = sorted({round(n * (count - 1) / max(DRAWN - 1, 1)) for n in range(DRAWN)})
        drawn = {word: values[windows] for word, values in batch.items()}
        history, truth = (self.in_units(drawn[w][..., : self.targets], drawn).cpu().numpy() for w in ("input", "target"))
        value = prediction["value"][windows].cpu().numpy()
        bands = prediction["quantile"][windows].cpu().numpy() if "quantile" in prediction else None
        panels = []
        for place, window in enumerate(windows):
            column = place % self.targets
            some = None if bands is None else bands[place, :, column]
            title = f"{self.names[column]}, window {int(batch['index'][window]) + 1:,}"
            one = (history[place, :, column], value[place, :, column])
            panels.append(Panel(title, *one, some, self.levels, truth[place, :, column]))
        return {"forecasts": forecasts(panels)}

    def remarks(self, scalars: Mapping[str, float]) -> Iterator[str]:
        """Say where the validation windows are forecast no better than by who looks at nothing but the last values."""
        skill = scalars.get("val/skill")
        before, self.useless = self.useless, skill is not None and skill <= 0
        if skill is not None and self.useless and not before:  # said once, until it is otherwise
            over = min(NAIVE, key=lambda name: scalars.get(f"val/skill/{name}", 1.0))
            yield f"no skill over {over}: that naive forecast errs no more than the model on the validation windows (skill {skill:.3f})"
