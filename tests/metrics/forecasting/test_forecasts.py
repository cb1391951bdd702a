"""Every number by hand-written NumPy, whatever the batches."""

import numpy as np
import pytest
import torch
from tests.helpers.examples.metrics import FACTS, forecast

from dlx import registry
from dlx.errors import ComponentError

NAIVE = ("last_value", "drift", "seasonal_naive", "moving_average")
STD = np.array([1.0, 2.0])
FACTS = {**FACTS, "target_mean": [3.0, -1.0]}


def fed(name, batches=None, **choices):
    metric = registry.metrics.build(name, choices, FACTS)
    for prediction, batch in batches or forecast():
        metric.update(prediction, batch)
    return metric


def joined(word):
    return np.concatenate([prediction[word].numpy() for prediction, _ in forecast()])


def truth():
    return np.concatenate([batch["target"].double().numpy() for _, batch in forecast()]) * STD + np.array([3.0, -1.0])


FORMULAS = {
    "scaled_mse": lambda f, y: (((f - y) / STD) ** 2).mean(),
    "scaled_mae": lambda f, y: np.abs((f - y) / STD).mean(),
    "mse_in_units": lambda f, y: ((f - y) ** 2).mean(),
    "mae_in_units": lambda f, y: np.abs(f - y).mean(),
    "rmse_in_units": lambda f, y: np.mean([np.sqrt(((f - y)[..., t] ** 2).mean()) for t in range(2)]),
    "smape": lambda f, y: 100 * (2 * np.abs(f - y) / (np.abs(f) + np.abs(y))).mean(),
    "mase": lambda f, y: np.mean([np.abs(f - y)[..., t].mean() / (0.5, 2.0)[t] for t in range(2)]),
}


@pytest.mark.parametrize("name", FORMULAS)
def test_errors_are_their_formulas(name):
    metric, formula = fed(name), FORMULAS[name]
    assert metric.compute()[name] == pytest.approx(formula(joined("value"), truth()))
    assert metric.baseline()[name] == pytest.approx(min(formula(joined("naive")[:, n], truth()) for n in range(4)))


@pytest.mark.parametrize(("error", "name"), [("squared", "scaled_mse"), ("absolute", "scaled_mae")])
def test_the_skill_is_over_the_best_naive_forecast_on_the_same_windows(error, name):
    found, formula = fed("skill", error=error).compute(), FORMULAS[name]
    own, naive = formula(joined("value"), truth()), [formula(joined("naive")[:, n], truth()) for n in range(4)]
    assert found["skill"] == pytest.approx(1 - own / min(naive))
    for place, one in enumerate(NAIVE):
        assert found[f"skill/{one}"] == pytest.approx(1 - own / naive[place])


def test_a_forecast_that_repeats_the_last_value_has_no_skill_over_it():
    copies = [({**prediction, "value": prediction["naive"][:, 0]}, batch) for prediction, batch in forecast()]
    metric = fed("skill", copies)
    assert metric.compute()["skill/last_value"] == 0
    assert metric.compute()["skill"] <= 0
    assert "no skill over " in metric.signature()


def test_the_direction_counts_where_there_is_one():
    last, value, true = joined("naive")[:, 0], joined("value"), truth()
    metric = fed("directional_accuracy")
    assert metric.compute()["directional_accuracy"] == pytest.approx((np.sign(value - last) == np.sign(true - last)).mean())
    still = {"value": torch.ones(1, 3, 2), "naive": torch.ones(1, 4, 3, 2)}
    standing = {"target": (torch.tensor([[1.0, 1.0]] * 3)[None] - torch.tensor([3.0, -1.0])) / torch.tensor([1.0, 2.0])}
    assert fed("directional_accuracy", [(still, standing)]).moved == 0


def test_quantiles_are_held_against_their_levels():
    quantiles, true, levels = joined("quantile"), truth()[..., None], np.array([0.1, 0.5, 0.9])
    below = (true - quantiles) / STD[:, None]
    pinball = np.where(below >= 0, levels * below, (levels - 1) * below)
    metric = fed("quantile_loss")
    assert metric.compute()["quantile_loss"] == pytest.approx(pinball.mean())
    apart = (true - joined("naive").transpose(0, 2, 3, 1)) / STD[:, None]
    naive = [np.mean([np.where(apart >= 0, a * apart, (a - 1) * apart)[..., n].mean() for a in levels]) for n in range(4)]
    assert metric.baseline()["quantile_loss"] == pytest.approx(min(naive))
    found = fed("coverage")
    inside = (true[..., 0] >= quantiles[..., 0]) & (true[..., 0] <= quantiles[..., 2])
    assert found.compute()["coverage"] == pytest.approx(inside.mean())
    assert found.compute()["below/0.9"] == pytest.approx((true[..., 0] < quantiles[..., 2]).mean())
    assert found.signature().endswith("which should hold 0.8 of all values")


def test_a_point_forecast_has_no_quantiles():
    prediction, batch = forecast()[0]
    with pytest.raises(ComponentError, match=r"set task\.loss"):
        fed("coverage", [({"value": prediction["value"], "naive": prediction["naive"]}, batch)])


def test_the_error_at_each_step_and_the_residuals_are_drawn(tmp_path):
    metric = fed("horizon_errors")
    halves = [fed("horizon_errors", forecast()[:1]), fed("horizon_errors", forecast()[1:])]
    halves[0].merge(halves[1])
    assert metric.sums[0].mean(-1) / metric.seen == pytest.approx(np.abs((joined("value") - truth()) / STD).mean((0, 2)))
    assert halves[0].counts.tolist() == metric.counts.tolist()
    assert metric.counts.sum() == joined("value").size
    assert metric.compute() == {}
    pictures = metric.pictures()
    assert set(pictures) == {"error_by_horizon", "residuals"}
    for name, picture in pictures.items():
        picture.savefig(tmp_path / f"{name}.png")
        assert (tmp_path / f"{name}.png").stat().st_size > 5000


def test_the_interval_of_the_skill_is_its_formula():
    """Lay each resample's blocks out by hand."""
    batches = forecast((20, 1, 39))
    metric = fed("skill_interval", batches, resamples=50, confidence=0.9)
    value, naive = (np.concatenate([prediction[word].numpy() for prediction, _ in batches]) for word in ("value", "naive"))
    target = np.concatenate([batch["target"].double().numpy() for _, batch in batches]) * STD + np.array([3.0, -1.0])
    forecasts = [value, *(naive[:, n] for n in range(4))]
    errors = [(((one - target) / STD) ** 2).mean((1, 2)) for one in forecasts]
    starts = torch.randint(60, (50, 10), generator=torch.Generator().manual_seed(FACTS["seed"])).numpy()
    skills = []
    for row in starts:
        rows = np.concatenate([np.arange(start, start + 6) % 60 for start in row])
        own, *others = (each[rows].sum() for each in errors)
        skills.append(1 - own / min(others))
    assert metric.compute() == pytest.approx(
        dict(zip(("skill_low", "skill_high"), np.quantile(skills, [0.05, 0.95]), strict=True))
    )
    shuffled = fed("skill_interval", batches[::-1], resamples=50, confidence=0.9)
    assert shuffled.compute() == pytest.approx(metric.compute())


def test_an_interval_covers_what_it_should_where_errors_last():
    """Errors of overlapping windows are alike: of 200 series, about 19 in 20 intervals hold the true skill."""
    from dlx.metrics.forecasting.skill_interval import resampled

    draw, held = np.random.default_rng(0), 0
    for number in range(200):
        shocks = draw.standard_normal((2, 603))
        squares = np.array([np.convolve(one**2, np.ones(4) / 4, "valid") for one in shocks]) * [[0.8], [1.0]]
        own, naive = resampled(squares, 8, 300, number)
        low, high = np.quantile(1 - own / naive, [0.025, 0.975])
        held += low <= 0.2 <= high
    assert 180 <= held <= 198


@pytest.mark.parametrize("copied", [0, 2])
def test_a_copy_of_the_best_naive_forecast_has_an_interval_without_skill(copied):
    batches = [({**p, "value": p["naive"][:, copied]}, b) for p, b in forecast((60,))]
    for prediction, batch in batches:
        prediction["naive"] = prediction["naive"] * 3
        prediction["naive"][:, copied] = prediction["value"]
        assert fed("skill", [(prediction, batch)]).compute()["skill"] == 0
    metric = fed("skill_interval", batches)
    assert metric.compute()["skill_high"] == 0
    assert "chance" not in metric.signature()


def test_too_few_forecasts_have_no_interval():
    metric = fed("skill_interval")
    assert metric.compute() == {}
    assert metric.signature() == ("no interval of the skill: 18 forecasts of 3 steps overlap too much, at least 30 are wanted")
