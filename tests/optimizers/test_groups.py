"""Optimizers: torch's own, with decay and rates for the parameters that want them."""

import pytest
import torch
from torch import nn

from dlx import registry
from dlx.assembly.experiment import prepare
from dlx.assembly.trainer import build_trainer
from dlx.config import spec
from dlx.config.spec import SpecError
from dlx.errors import ComponentError
from dlx.optimizers import groups

OPTIONS = {"no_decay": ["bias", "norm"], "groups": {}}


class Model(nn.Module):
    def __init__(self):
        super().__init__()
        self.embedding, self.body, self.norm, self.head = nn.Embedding(5, 4), nn.Linear(4, 4), nn.LayerNorm(4), nn.Linear(4, 2)
        self.head.bias.requires_grad_(False)


def grouped(weight_decay=0.1, **options):
    model = Model()
    names = {parameter: name for name, parameter in model.named_parameters()}
    found = groups.parameter_groups(model, OPTIONS | options, weight_decay)
    return {tuple(names[p] for p in g["params"]): {k: v for k, v in g.items() if k != "params"} for g in found}


def test_biases_and_norms_do_not_decay_and_the_frozen_are_left_out():
    weights, still = ("embedding.weight", "body.weight", "head.weight"), ("body.bias", "norm.weight", "norm.bias")
    assert grouped() == {weights: {}, still: {"weight_decay": 0.0}}
    assert grouped(no_decay=[]) == {
        ("embedding.weight", "body.weight", "body.bias", "norm.weight", "norm.bias", "head.weight"): {}
    }
    found = grouped(no_decay=["embedding"])
    assert found[("embedding.weight",)] == {"weight_decay": 0.0}


def test_without_decay_there_is_nothing_to_divide():
    assert list(grouped(weight_decay=0).values()) == [{}]
    found = grouped(weight_decay=0, groups={"head.*": {"weight_decay": 0.1}})
    assert found[("head.weight",)] == {"weight_decay": 0.1}


def test_the_first_pattern_that_matches_counts():
    found = grouped(groups={"head.*": {"lr": 0.1}, "*.weight": {"lr": 0.2}})
    assert found[("head.weight",)] == {"lr": 0.1}
    assert found[("embedding.weight", "body.weight")] == {"lr": 0.2}
    assert found[("norm.weight",)] == {"lr": 0.2, "weight_decay": 0.0}
    assert found[("body.bias", "norm.bias")] == {"weight_decay": 0.0}


def test_a_decay_that_no_decay_takes_away_is_told():
    decaying = {"norm.*": {"lr": 48, "weight_decay": 0.1}}
    with pytest.raises(ComponentError, match=r"has no effect: .* no_decay \(bias, norm\); change that list") as caught:
        grouped(groups=decaying)
    assert caught.value.path == ("groups", "norm.*", "weight_decay")
    assert grouped(groups=decaying, no_decay=["bias"])[("norm.weight", "norm.bias")] == decaying["norm.*"]
    assert grouped(groups={"body.*": {"weight_decay": 0.2}})[("body.weight",)] == {"weight_decay": 0.2}
    assert grouped(groups={"norm.*": {"weight_decay": 0}})


def test_a_pattern_that_matches_nothing_is_told_with_its_place(tmp_path):
    text = (
        "task: classification\ndata: iris\nmodel: mlp\nepochs: 1\noptimizer:\n  name: sgd\n  groups:\n    'haed.*': {lr: 0.1}\n"
    )
    (tmp_path / "x.yaml").write_text(text)
    with pytest.raises(SpecError, match=r"x.yaml:8:5 optimizer.groups.*haed.*: no parameter matches; there is "):
        build_trainer(prepare(spec.load(tmp_path / "x.yaml")))


def test_decay_reaches_what_it_should():
    model = nn.Linear(3, 3)
    before = {name: p.detach().clone() for name, p in model.named_parameters()}
    made = groups.construct(torch.optim.SGD, model, {"lr": 0.1, "weight_decay": 0.5}, OPTIONS, torch.device("cpu"))
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    made.step()
    assert torch.allclose(model.weight, before["weight"] * 0.95)
    assert torch.equal(model.bias, before["bias"])


@pytest.mark.parametrize("name", registry.optimizers.names())
def test_every_optimizer_descends(name):
    wanted = registry.optimizers.signatures[name].choices
    choices = {key: parameter.default for key, parameter in wanted.items()}
    assert not {"foreach", "fused", "maximize", "params"} & set(choices)
    torch.manual_seed(0)
    model, inputs = nn.Linear(4, 1), torch.randn(32, 4)
    made = groups.construct(registry.optimizers.get(name), model, choices, OPTIONS, torch.device("cpu"))
    losses = []
    for _ in range(30):
        made.zero_grad()
        loss = (model(inputs) - inputs[:, :1]).square().mean()
        loss.backward()
        made.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
