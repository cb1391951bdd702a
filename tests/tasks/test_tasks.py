"""What every task promises, and what classification and regression compute."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from dlx import registry
from dlx.assembly.experiment import prepare
from dlx.assembly.trainer import build_trainer
from dlx.config import spec
from dlx.errors import ComponentError
from dlx.tasks.classification import LOSSES, Classification
from dlx.tasks.regression import Regression

GOLDEN = Path(__file__).parent.parent / "golden"
FACTS = {
    "num_classes": 3,
    "class_counts": [10, 20, 70],
    "num_outputs": 2,
    "target_mean": [10.0, -5.0],
    "target_std": [2.0, 4.0],
    "input_shape": [4],
    "num_features": 4,
    "seed": 0,
}


class Model(nn.Module):
    """As many outputs as a task wants."""

    def __init__(self, outputs, bias=True):
        super().__init__()
        torch.manual_seed(0)
        self.body = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, outputs, bias=bias))

    def forward(self, input):
        return self.body(input)


def made(name, **choices):
    outputs = FACTS["num_outputs"] if name == "regression" else FACTS["num_classes"]
    return registry.tasks.build(name, choices, {**FACTS, "model": Model(outputs)})


def batch(name, size=12):
    generator = torch.Generator().manual_seed(1)
    words = {"input": torch.randn(size, 4, generator=generator), "index": torch.arange(size)}
    if name == "regression":
        return words | {"target": 10 + torch.randn(size, 2, generator=generator)}
    return words | {"target": torch.arange(size) % 3}


SMALL = {"classification", "regression"}  # tasks whose batches and models are the ones above


@pytest.mark.parametrize("name", sorted(SMALL))
def test_the_score_of_a_prediction_is_the_loss(name):
    task, words = made(name).eval(), batch(name)
    with torch.no_grad():
        assert task.score(task.predict(words), words).value == task(words).value


def logits(size=20, classes=3):
    generator = torch.Generator().manual_seed(2)
    target = torch.randint(classes, (size,), generator=generator)
    return 3 * torch.randn(size, classes, generator=generator), target


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("weights", [None, [0.5, 1.0, 4.0], "balanced"])
def test_cross_entropy_is_torch_s(weights, smoothing):
    scores, target = logits()
    task = Classification(Model(3), 3, FACTS["class_counts"], class_weights=weights, label_smoothing=smoothing)
    balanced = torch.tensor([100 / 30, 100 / 60, 100 / 210])
    tensor = {None: None, "balanced": balanced}.get(
        str(weights) if weights is None else weights if isinstance(weights, str) else ""
    )
    tensor = torch.tensor(weights) if isinstance(weights, list) else tensor
    wanted = nn.CrossEntropyLoss(weight=tensor, label_smoothing=smoothing)(scores, target)
    loss = task.weigh(scores, target)
    assert loss.value.item() == pytest.approx(wanted.item(), rel=1e-6)
    assert float(loss.weight) == pytest.approx(20.0 if tensor is None else tensor[target].sum().item())


@pytest.mark.parametrize("name", LOSSES)
def test_every_loss_is_weighed_by_the_classes_of_its_samples(name):
    scores, target = logits()
    weights = torch.tensor([0.5, 1.0, 4.0])
    each = torch.stack([LOSSES[name](scores[i : i + 1], target[i : i + 1])[0] for i in range(20)])
    found = Classification(Model(3), 3, loss=name, class_weights=weights.tolist()).weigh(scores, target)
    assert found.value.item() == pytest.approx((each * weights[target]).sum().item() / weights[target].sum().item(), rel=1e-5)
    assert Classification(Model(3), 3, loss=name).weigh(scores, target).value.item() == pytest.approx(
        each.mean().item(), rel=1e-5
    )


def test_losses_are_the_ones_of_the_papers():
    scores, target = logits()
    share = scores.softmax(-1).gather(-1, target[:, None]).squeeze(-1)
    assert torch.allclose(LOSSES["focal"](scores, target), -((1 - share) ** 2) * share.log(), atol=1e-6)
    brier = (scores.softmax(-1) - F.one_hot(target, 3)).square().sum(-1)
    assert torch.allclose(LOSSES["squared_error"](scores, target), brier)
    hinge = F.multi_margin_loss(scores, target, reduction="none")
    assert (LOSSES["hinge"](scores, target) >= hinge).all(), "the largest violation, where torch averages them"
    two, pair = logits(classes=2)
    assert torch.allclose(LOSSES["hinge"](two, pair), 2 * F.multi_margin_loss(two, pair, reduction="none"))


def test_one_logit_is_binary_cross_entropy():
    torch.manual_seed(0)
    task = Classification(Model(1), 2, [5, 5])
    words = batch("classification") | {"target": torch.arange(12) % 2}
    raw = task.model(words["input"])
    wanted = F.binary_cross_entropy_with_logits(raw.squeeze(-1), words["target"].float())
    assert task(words).value.item() == pytest.approx(wanted.item(), rel=1e-6)
    prediction = task.predict(words)
    assert torch.allclose(prediction["probability"][:, 1], raw.sigmoid().squeeze(-1), atol=1e-6)
    assert torch.equal(prediction["label"], (raw.squeeze(-1) > 0).long())
    task.verify(words)


TABLE = """
task: {name: classification, loss: perceptron}
data: {name: truth_table, function: FUNCTION, batch_size: 1}
model: perceptron
optimizer: {name: sgd, lr: 1.0}
epochs: 6
"""


@pytest.mark.parametrize("function", ["and", "or", "xor", "nand"])
def test_perceptron_loss_with_plain_descent_is_rosenblatt_s_rule(function):
    built = prepare(spec.parse(TABLE.replace("FUNCTION", function), "x.yaml"))
    trainer = build_trainer(built)
    weight, bias, rows = torch.zeros(2), torch.zeros(()), built.source.data["train"]
    from dlx.data.order import permutation

    for epoch in range(6):
        for i in permutation(0, epoch, 4):
            x, sign = rows["input"][i], 2.0 * rows["target"][i] - 1
            if sign * (weight @ x + bias) <= 0:
                weight, bias = weight + sign * x, bias + sign
    trainer.fit()
    assert torch.equal(built.task.model.unit.weight[0], weight)
    assert torch.equal(built.task.model.unit.bias[0], bias)


@pytest.mark.parametrize(
    ("loss", "wanted"),
    [
        ("squared_error", nn.MSELoss()),
        ("absolute_error", nn.L1Loss()),
        ("huber", nn.HuberLoss()),
        ("smooth_l1", nn.SmoothL1Loss()),
    ],
)
@pytest.mark.parametrize("standardize", [True, False])
def test_regression_losses_are_torch_s_on_standardised_targets(loss, wanted, standardize):
    task, words = made("regression", loss=loss, standardize=standardize), batch("regression")
    target = words["target"]
    if standardize:
        target = (target - torch.tensor([10.0, -5.0])) / torch.tensor([2.0, 4.0])
    output = task.model(words["input"])
    assert task(words).value.item() == pytest.approx(wanted(output, target).item(), rel=1e-6)
    units = output * torch.tensor([2.0, 4.0]) + torch.tensor([10.0, -5.0]) if standardize else output
    assert torch.allclose(task.predict(words)["value"], units.double())
    assert task.baseline(words)["value"][3].tolist() == [10.0, -5.0]


def test_a_target_that_never_changes_can_be_regressed():
    task = Regression(Model(1), 1, [3.0], [0.0])
    words = batch("regression") | {"target": torch.full((12, 1), 3.0)}
    assert task(words).value.isfinite()


@pytest.mark.parametrize(
    ("task", "outputs", "message"),
    [
        ("classification", 2, "gives 2 values, but the data has 3 classes"),
        ("classification", 1, "gives 1 values, but the data has 3 classes"),
        ("regression", 3, "gives 3 values, but the data has 2 target values"),
    ],
)
def test_models_that_do_not_fit_are_told(task, outputs, message):
    built = registry.tasks.build(task, {}, {**FACTS, "model": Model(outputs)})
    with pytest.raises(ComponentError, match=message):
        built.verify(batch(task))


def test_other_misfits_are_told():
    class Image(nn.Module):
        def forward(self, input):
            return input[:, None, None]

    for name in sorted(SMALL):
        with pytest.raises(ComponentError, match=r"gives an output of shape \(1, 1, 4\)"):
            registry.tasks.build(name, {}, {**FACTS, "model": Image()}).verify(batch(name))
    softmax = nn.Sequential(nn.Linear(4, 3), nn.Softmax(-1))
    with pytest.raises(ComponentError, match="leave out the last softmax"):
        Classification(softmax, 3).verify(batch("classification"))
    with pytest.raises(ComponentError, match="gives 2 weights, but the data has 3 classes"):
        made("classification", class_weights=[1.0, 2.0])
    with pytest.raises(ComponentError, match="only cross_entropy smooths labels, not hinge"):
        made("classification", loss="hinge", label_smoothing=0.1)
    with pytest.raises(ComponentError, match="does not read 'category'"):
        made("classification").verify(batch("classification") | {"category": torch.zeros(12, 1, dtype=torch.int64)})


class Convolving(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.layer = nn.Conv2d(1, 3, 3)

    def forward(self, input=None, features=None):
        return self.layer(input)[:, :, 0, :2].mean(-1) if features is None else features


@pytest.mark.parametrize(("kind", "side", "step"), [("mirror", 8, 0), ("shifted", 8, 1), ("shifted", 96, 3)])
def test_answers_average_the_logits_of_the_views(kind, side, step):
    task = Classification(Convolving(), 3, views=kind)
    images, target = torch.randn(2, 1, side, side), torch.tensor([0, 1])
    logits = task.predict({"input": images})["logits"]

    def both(some):
        return (task.model(some) + task.model(some.flip(-1))) / 2

    wanted = both(images)
    if step:
        padded = F.pad(images, (step,) * 4, "reflect")
        moved = [padded[..., s : s + side, s : s + side] for s in (0, 2 * step)]
        wanted = wanted / 2 + sum(map(both, moved)) / 4
    torch.testing.assert_close(logits, wanted)
    trained = task({"input": images, "target": target}).value
    torch.testing.assert_close(trained, F.cross_entropy(task.model(images), target))


def test_views_of_what_is_no_image_are_refused():
    with pytest.raises(ComponentError, match="'mirror' wants images, and the data has none; leave it out") as caught:
        Classification(Model(3), 3, None, [4], views="mirror")
    assert caught.value.path == ("views",)
    task = Classification(Convolving(), 3, views="shifted")
    with pytest.raises(ComponentError, match="a frozen backbone's features"):
        task.verify({"features": torch.randn(2, 3), "target": torch.tensor([0, 1])})
