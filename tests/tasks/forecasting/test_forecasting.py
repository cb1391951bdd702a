import numpy as np
import pytest
import torch
from scipy import stats
from tests.helpers.examples.others import SERIES, continued
from torch import nn

from dlx import registry
from dlx.errors import ComponentError
from dlx.tasks.forecasting.heads import Gaussian, Quantiles, StudentT
from dlx.tasks.forecasting.naive import naive_forecasts
from dlx.testing.common import build


class Fixed(nn.Module):
    """A model that repeats the last value, so many times for each."""

    def __init__(self, numbers=1, horizon=3):
        super().__init__()
        self.numbers, self.horizon = numbers, horizon

    def forward(self, input):
        last = input[:, -1:].expand(-1, self.horizon, -1)
        return last if self.numbers == 1 else torch.stack([last + n for n in range(self.numbers)], -1)


def task(model, **choices):
    return build(registry.tasks, "forecasting", choices, {**SERIES, "model": model}).eval()


def test_naive_forecasts_are_what_they_are_called():
    history = torch.tensor([1.0, 4.0, 2.0, 3.0, 8.0, 6.0])[None, :, None]
    last, drift, seasonal, mean = naive_forecasts(history, 5, 4)[0, ..., 0].tolist()
    assert last == [6] * 5
    assert drift == [7, 8, 9, 10, 11]
    assert seasonal == [2, 3, 8, 6, 2]
    assert mean == [19 / 4] * 5
    assert naive_forecasts(history, 2, 1)[0, 2:, :, 0].tolist() == [[6, 6], [4, 4]]


def test_a_copy_of_the_last_value_has_a_skill_of_exactly_nothing_against_it():
    batch, made = continued(), task(Fixed())
    metric = registry.metrics.build("skill", {"error": "squared"}, SERIES)
    metric.update(made.predict(batch), batch)
    assert metric.compute()["skill/last_value"] == 0
    remarks = list(made.remarks({f"val/{name}": value for name, value in metric.compute().items()}))
    assert len(remarks) == 1
    assert remarks[0].startswith("no skill over ")
    assert not list(made.remarks({"val/skill": -0.1}))  # it has been said
    assert not list(made.remarks({"val/skill": 0.1}))
    assert len(list(made.remarks({"val/skill": -0.1}))) == 1


def test_values_are_in_the_targets_own_units():
    batch = continued()
    value = task(Fixed()).predict(batch)["value"]
    assert value.dtype == torch.float64
    assert torch.equal(value[:, 2], batch["input"][:, -1].double() * torch.tensor([2.0, 4.0]) + torch.tensor([10.0, -5.0]))


def draws():
    generator = torch.Generator().manual_seed(0)
    return torch.randn(4, 3, 2, 3, generator=generator), torch.randn(4, 3, 2, generator=generator)


def test_the_gaussian_loss_is_the_likelihood_and_its_quantiles_are_its_own():
    output, target = draws()
    scale = np.log1p(np.exp((output[..., 1] - output[..., 0]).numpy())) + 1e-4
    head = Gaussian([0.1, 0.5, 0.975])
    wanted = -stats.norm.logpdf(target.numpy(), output[..., 0].numpy(), scale).mean()
    assert float(head.loss(output, target)) == pytest.approx(wanted, rel=1e-5)
    quantiles = stats.norm.ppf([0.1, 0.5, 0.975], output[..., :1].numpy(), scale[..., None])
    assert head.quantiles(output).numpy() == pytest.approx(quantiles, rel=1e-4, abs=1e-5)


def test_the_student_t_loss_is_the_likelihood_and_its_quantiles_are_its_own():
    output, target = draws()
    scale, freedom = (np.log1p(np.exp((output[..., n] - output[..., 0]).numpy())) for n in (1, 2))
    head = StudentT([0.1, 0.5, 0.975])
    wanted = -stats.t.logpdf(target.numpy(), freedom + 2, output[..., 0].numpy(), scale + 1e-4).mean()
    assert float(head.loss(output, target)) == pytest.approx(wanted, rel=1e-5)
    quantiles = stats.t.ppf([0.1, 0.5, 0.975], freedom[..., None] + 2, output[..., :1].numpy(), scale[..., None] + 1e-4)
    assert head.quantiles(output).numpy() == pytest.approx(quantiles, rel=1e-4, abs=1e-5)


def test_the_pinball_loss_is_least_at_the_quantiles():
    levels, sample = [0.1, 0.5, 0.9], torch.randn(4001, generator=torch.Generator().manual_seed(0))
    head, right = Quantiles(levels), torch.quantile(sample, torch.tensor(levels))
    target = sample[:, None, None]
    best = head.loss(right.expand(4001, 1, 1, 3), target)
    for place in range(3):
        for change in (-0.1, 0.1):
            other = right.clone()
            other[place] += change
            assert head.loss(other.expand(4001, 1, 1, 3), target) > best
    crossed = torch.tensor([2.0, 1.0, 3.0]).expand(1, 1, 1, 3)
    assert head.quantiles(crossed).flatten().tolist() == [1, 2, 3]
    assert head.point(crossed).item() == 2


@pytest.mark.parametrize(
    ("numbers", "choices", "told"),
    [
        (1, {"loss": "gaussian"}, r"gives 1 number a value, and the loss 'gaussian' wants 2; set model\.outputs_per_value: 2"),
        (2, {}, "gives 2 numbers a value, and the loss 'squared_error' wants 1"),
        (2, {"loss": "quantiles"}, "gives 2 numbers a value, and the loss 'quantiles' wants 3"),
    ],
)
def test_a_model_of_other_numbers_is_refused_with_the_remedy(numbers, choices, told):
    with pytest.raises(ComponentError, match=told):
        task(Fixed(numbers), **choices).verify(continued())


def test_a_model_of_another_horizon_is_refused():
    with pytest.raises(ComponentError, match="a forecast of 3 steps wants"):
        task(Fixed(horizon=4)).verify(continued())


@pytest.mark.parametrize("levels", [[0.1, 0.9], [0.5, 0.1], [0.5, 1.0], [0.5, 0.5]])
def test_levels_that_are_none_are_told(levels):
    with pytest.raises(ComponentError, match="levels ascend"):
        task(Fixed(2), loss="gaussian", levels=levels)


@pytest.mark.parametrize(("numbers", "loss"), [(1, "huber"), (2, "gaussian"), (3, "quantiles")])
def test_forecasts_are_drawn(tmp_path, numbers, loss):
    batch, made = continued(), task(Fixed(numbers), loss=loss)
    made.show(batch, made.predict(batch))["forecasts"].savefig(tmp_path / "f.png")
    assert (tmp_path / "f.png").stat().st_size > 10_000
