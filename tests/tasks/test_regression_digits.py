"""Targets whose spread is small beside their size: nothing is rounded before it is centred and scaled."""

import json
import math

import numpy as np
import pytest
import torch
from sklearn.metrics import mean_absolute_error, r2_score, root_mean_squared_error
from torch import nn

from dlx.commands.evaluate import evaluate
from dlx.commands.predict import predict
from dlx.commands.train import train
from dlx.core import to_device
from dlx.metrics.regression import R2
from dlx.processors.csv.cells import of_rows
from dlx.processors.rows import Row
from dlx.processors.targets import NumberTarget
from dlx.tasks.regression import Regression

LARGE = 1_700_000_000


class Fixed(nn.Module):
    def __init__(self, output):
        super().__init__()
        self.output = output

    def forward(self, input):
        return self.output[: len(input)]


def task(output, mean, std):
    return Regression(Fixed(output), 1, [mean], [std])


def test_r2_of_large_targets_is_scikit_learn_s_on_float64_predictions():
    target = LARGE + np.arange(200.0)
    output = torch.linspace(-1.7, 1.7, 200)[:, None]
    made = task(output, target.mean(), target.std())
    batch = {"input": output, "target": torch.tensor(target)[:, None]}
    prediction = made.predict(batch)
    metric = R2(1)
    metric.update(prediction, batch)
    expected = output[:, 0].double().numpy() * target.std() + target.mean()
    assert metric.compute()["r2"] == pytest.approx(r2_score(target, expected), rel=1e-12)
    assert len(set(prediction["value"][:, 0].tolist())) == 200


def test_three_distinct_answers_are_not_called_perfect():
    target = LARGE + np.arange(200.0)
    answers = np.repeat([LARGE + 33.0, LARGE + 100.0, LARGE + 167.0], [67, 66, 67])
    batch = {"input": torch.zeros(200, 1), "target": torch.tensor(target)[:, None]}
    metric = R2(1)
    metric.update({"value": torch.tensor(answers)[:, None]}, batch)
    assert metric.compute()["r2"] == pytest.approx(r2_score(target, answers), rel=1e-9)
    assert metric.compute()["r2"] < 0.9


def test_the_loss_is_taken_on_targets_standardised_in_float64():
    target = torch.tensor([[LARGE + 1.0], [LARGE + 2.0], [LARGE + 3.0]], dtype=torch.float64)
    made = task(torch.zeros(3, 1), LARGE + 2.0, math.sqrt(2 / 3))
    assert made({"input": torch.zeros(3, 1), "target": target}).value.item() == pytest.approx(1.0)


def test_a_task_moves_to_where_there_is_no_float64_and_targets_stay_on_the_cpu():
    made = task(torch.zeros(2, 1), float(LARGE), 1.0)
    assert not [value for value in made.state_dict().values() if value.dtype == torch.float64]
    batch = {"input": torch.zeros(2, 1), "target": torch.zeros(2, 1, dtype=torch.float64)}
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("dlx.core.batch.WITHOUT_FLOAT64", ("meta",))  # stands for mps
        moved = to_device(batch, torch.device("meta"))
    assert (moved["input"].device.type, moved["target"].device.type) == ("meta", "cpu")


@pytest.mark.parametrize("scale", [1.0, 1e-3, 1e9])
def test_statistics_of_a_target_are_the_same_for_any_number_of_threads(scale):
    generator = np.random.default_rng(0)
    values = torch.tensor(generator.normal(size=(100_003, 1)) * scale + 7)
    found = []
    for threads in (1, 2):
        before = torch.get_num_threads()
        torch.set_num_threads(threads)
        facts = NumberTarget("t").facts(values)
        torch.set_num_threads(before)
        found.append((facts["target_mean"], facts["target_std"]))
    assert found[0] == found[1]
    assert found[0][0][0] == math.fsum(values[:, 0].tolist()) / len(values)
    assert found[0][1][0] == pytest.approx(values.numpy().std(), rel=1e-12)


def test_targets_are_encoded_with_all_their_digits():
    cells = of_rows([Row([text]) for text in ("1700000000.25", "0.1", "1e300")], ["t"])
    assert NumberTarget("t").encode(cells)[:, 0].tolist() == [1700000000.25, 0.1, 1e300]


CONFIG = """
task: regression
data: {{name: csv, train: {train}, test: {test}, target: t, scaling: standard}}
model: {{name: mlp, hidden: [8]}}
optimizer: {{name: adam, lr: 0.05}}
epochs: 20
"""


def test_what_eval_prints_is_what_scikit_learn_computes_from_the_answers(tmp_path):
    lines = ["x,t", *(f"{i},{LARGE + i}" for i in range(200))]
    for name in ("train", "test"):
        (tmp_path / f"{name}.csv").write_text("\n".join(lines))
    config = tmp_path / "large.yaml"
    config.write_text(CONFIG.format(train=tmp_path / "train.csv", test=tmp_path / "test.csv"))
    run = train(str(config), [], name=None, resume=False, runs=tmp_path / "runs", quiet=True)["run"]
    found = evaluate(run, [], "test")
    answers = [float(answer["t"]) for answer in predict(run, [str(tmp_path / "test.csv")], [])]
    target = LARGE + np.arange(200.0)
    assert found["test/r2"] == pytest.approx(r2_score(target, answers), rel=1e-9)
    assert found["test/mae"] == pytest.approx(mean_absolute_error(target, answers), rel=1e-9)
    assert found["test/rmse"] == pytest.approx(root_mean_squared_error(target, answers), rel=1e-9)
    facts = json.loads(next(iter((tmp_path / "runs" / "large" / "checkpoints").glob("step-*/facts.json"))).read_text())
    assert facts["target_mean"][0] > LARGE


def test_inputs_whose_spread_is_small_beside_their_size_are_scaled_before_they_are_rounded(tmp_path):
    from dlx.registry import sources
    from dlx.registry.signatures import check

    file = tmp_path / "x.csv"
    file.write_text("x,y\n" + "".join(f"{LARGE + i},{i % 2}\n" for i in range(100)))
    sources.names()
    values, _ = check(sources.signatures["csv"], {"train": str(file), "target": "y", "val": 0, "test": 0})
    data = sources.build("csv", values, {"seed": 0}).data["train"]["input"][:, 0]
    assert len(data.unique()) == 100
    expected = (np.arange(100) - 49.5) / np.arange(100).std()
    np.testing.assert_allclose(data.numpy(), expected, atol=1e-6)
