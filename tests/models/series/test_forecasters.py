import numpy as np
import pytest
import torch
from tests.helpers.examples.models import SERIES

from dlx import registry
from dlx.errors import ComponentError
from dlx.testing.common import build

FACTS = {**SERIES, "num_known": 0}


def model(name, facts=FACTS, **choices):
    torch.manual_seed(0)
    return build(registry.models, name, choices, facts).eval()


def past(facts=FACTS):
    return torch.randn(4, facts["look_back"], facts["num_series"], generator=torch.Generator().manual_seed(1))


def test_nlinear_without_weights_repeats_the_last_value():
    made = model("nlinear")
    for parameter in made.parameters():
        torch.nn.init.zeros_(parameter)
    steps = past()
    assert torch.equal(made(steps), steps[:, -1:].expand(-1, 5, -1))


def test_linear_is_one_matrix():
    made, steps = model("linear"), past()
    weight, bias = made.layer.weight[0], made.layer.bias[0]
    assert torch.allclose(made(steps), torch.einsum("blv,hl->bhv", steps, weight) + bias[:, None], atol=1e-5)


@pytest.mark.parametrize("shared", [True, False])
def test_dlinear_is_its_formula(shared):
    made, steps = model("dlinear", kernel=5, shared=shared), past().double().numpy()
    trend = np.stack([steps[:, np.clip(np.arange(n - 2, n + 3), 0, 23)].mean(1) for n in range(24)], 1)
    answer = made(past()).detach().numpy()
    for series in range(3):
        own = 0 if shared else series
        layers = [(layer.weight[own].detach().numpy(), layer.bias[own].detach().numpy()) for layer in (made.trend, made.rest)]
        parts = (trend[..., series], steps[..., series] - trend[..., series])
        wanted = sum(part @ weight.T + bias for part, (weight, bias) in zip(parts, layers, strict=True))
        assert answer[..., series] == pytest.approx(wanted, abs=1e-5)


@pytest.mark.parametrize("name", ["dlinear", "patchtst", "itransformer", "series_rnn", "tcn", "nbeats", "linear"])
def test_with_instance_norm_a_forecast_moves_and_stretches_with_its_window(name):
    made, steps = model(name, instance_norm=True), past()
    moved = made(steps * 3 + torch.tensor([10.0, 0.0, -5.0]))
    assert torch.allclose(moved, made(steps) * 3 + torch.tensor([10.0, 0.0, -5.0]), atol=2e-3)


@pytest.mark.parametrize("name", ["linear", "nlinear", "dlinear", "nbeats", "patchtst"])
def test_models_of_each_series_alone_do_so_and_refuse_further_inputs(name):
    made, steps = model(name), past()
    changed = steps.clone()
    changed[..., 1] += 1
    assert torch.equal(made(steps)[..., [0, 2]], made(changed)[..., [0, 2]])
    with pytest.raises(ComponentError, match=r"would not read the 1 further one of data\.inputs"):
        model(name, {**FACTS, "num_targets": 2})


@pytest.mark.parametrize("name", ["series_rnn", "tcn", "itransformer"])
def test_models_of_all_series_together_read_all(name):
    facts = {**FACTS, "num_targets": 2}
    made, steps = model(name, facts), past()
    changed = steps.clone()
    changed[:, :, 2] += torch.linspace(0, 3, 24)
    assert made(steps).shape == (4, 5, 2)
    assert not torch.allclose(made(steps), made(changed))


def test_what_is_known_ahead_moves_its_own_step_alone():
    facts = {**FACTS, "num_known": 2}
    made, steps = model("dlinear", facts), past()
    known = torch.randn(4, 29, 2, generator=torch.Generator().manual_seed(2))
    changed = known.clone()
    changed[:, 26] += 1
    apart = (made(steps, changed) - made(steps, known)).abs().amax((0, 2))
    assert apart[2] > 1e-3
    assert apart[[0, 1, 3, 4]].max() == 0


@pytest.mark.parametrize(("kernel", "blocks", "reach"), [(3, 2, 13), (2, 3, 15), (3, None, 24)])
def test_a_tcn_sees_as_far_back_as_it_says(kernel, blocks, reach):
    made, steps = model("tcn", kernel=kernel, blocks=blocks), past().requires_grad_()
    made(steps).sum().backward()
    seen = (steps.grad.abs().sum((0, 2)) > 0).nonzero()[:, 0]
    assert 24 - int(seen.min()) <= reach
    assert 24 - int(seen.min()) >= min(reach, 24) - 2  # where no rectifier has shut the way


def test_nbeats_trend_is_a_polynomial():
    made = model("nbeats", stacks=["trend"], degree=2)
    third = made(past()).diff(n=3, dim=1)
    assert third.abs().max() < 1e-4


@pytest.mark.parametrize(
    ("name", "choices", "told"), [("dlinear", {"kernel": 4}, "odd"), ("patchtst", {"heads": 5}, "divisor")]
)
def test_sizes_that_do_not_fit_are_told(name, choices, told):
    with pytest.raises(ComponentError, match=told):
        model(name, **choices)
