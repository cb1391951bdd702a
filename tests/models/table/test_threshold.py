import pytest
import torch

from dlx.errors import ComponentError
from dlx.models.table.perceptron import Perceptron
from dlx.models.table.threshold import McCullochPitts
from dlx.registry import models
from dlx.registry.signatures import check

PAIRS = torch.tensor([[0.0, 0.0], [0.0, 1.0], [1.0, 0.0], [1.0, 1.0]])


def unit(*weights, threshold):
    return {"weights": list(weights), "threshold": threshold}


OR, NAND, AND = unit(1, 1, threshold=1), unit(-1, -1, threshold=-1.5), unit(1, 1, threshold=2)


@pytest.mark.parametrize(
    ("units", "truth"),
    [([[AND]], [0, 0, 0, 1]), ([[OR]], [0, 1, 1, 1]), ([[NAND]], [1, 1, 1, 0]), ([[OR, NAND], [AND]], [0, 1, 1, 0])],
    ids=["and", "or", "nand", "xor"],
)
def test_truth_tables(units, truth):
    models.names()
    choices, faults = check(models.signatures["mcculloch_pitts"], {"units": units})
    assert faults == []
    model = models.build("mcculloch_pitts", choices, {"num_features": 2, "num_classes": 2})
    assert (model(PAIRS) + 0.5).flatten().tolist() == truth
    assert not list(model.parameters())


def test_not():
    model = McCullochPitts(1, units=[[unit(-1.0, threshold=0.0)]])
    assert model(torch.tensor([[0.0], [1.0]])).tolist() == [[0.5], [-0.5]]


@pytest.mark.parametrize(
    ("units", "path"),
    [
        ([[unit(1, threshold=1)]], ("units", 0, 0, "weights")),
        ([[OR, NAND], [OR, NAND]], ("units", 1)),
        ([[OR], [AND]], ("units", 1, 0, "weights")),
        ([[], [AND]], ("units", 0)),
        ([], ("units",)),
    ],
)
def test_what_does_not_fit(units, path):
    with pytest.raises(ComponentError) as caught:
        McCullochPitts(2, units=units)
    assert caught.value.path == path


def test_perceptron_starts_at_zero_and_tells_two_classes_apart():
    model = Perceptron(2, 2)
    assert model(PAIRS).tolist() == [[0.0]] * 4
    with pytest.raises(ComponentError, match="10"):
        Perceptron(2, 10)


def test_the_perceptron_rule_learns_or():
    model, truth = Perceptron(2), [-1.0, 1.0, 1.0, 1.0]
    optimizer = torch.optim.SGD(model.parameters(), lr=1.0)
    for _ in range(10):
        for row, sign in zip(PAIRS, truth, strict=True):
            score = model(row[None])[0, 0]
            if sign * score <= 0:
                optimizer.zero_grad()
                (-sign * score).backward()
                optimizer.step()
    assert model(PAIRS).sign().flatten().tolist() == truth
