"""Faults that a plan finds while the rest of the experiment is looked at all the same."""

import pytest

from dlx import registry
from dlx.assembly import experiment
from dlx.config import spec
from dlx.config.values import SpecError
from dlx.core import Metric

TEXT = "task: classification\ndata: iris\nmodel: mlp\nepochs: 1\n"


class Demanding(Metric):
    """Wants a choice that has no default."""

    def __init__(self, *, wanted: int) -> None:
        self.wanted = wanted

    def update(self, prediction, batch):
        pass

    def merge(self, other):
        pass

    def compute(self):
        return {}


@pytest.fixture
def demanding():
    with registry.metrics.scratch() as metrics:
        metrics.adopt("demanding", Demanding)
        yield


def test_a_metric_without_its_required_choice_is_one_fault_beside_those_of_the_others(demanding):
    with pytest.raises(SpecError) as told:
        experiment.prepare(spec.parse(TEXT + "metrics: [demanding, sliced_wasserstein]\n", "x.yaml"))
    first, second = str(told.value).splitlines()
    assert "metrics[0].wanted" in first
    assert "is missing" in first
    assert "metrics[1]: 'sliced_wasserstein' reads 'image'" in second


@pytest.mark.parametrize(
    ("section", "message"),
    [
        ("optimizer: {generator: adam, discriminator: adam}", "optimizer.generator: unknown part; this task trains the model"),
        ("schedule: {generator: cosine}", "schedule.generator: unknown part; this task trains the model as a whole"),
    ],
)
def test_parts_are_held_against_those_of_the_task(section, message):
    with pytest.raises(SpecError, match=message):
        experiment.prepare(spec.parse(TEXT + section + "\n", "x.yaml"))


def test_mismatches_are_told_together_with_the_faults_of_other_components(tmp_path):
    from dlx.assembly import experiment

    file = tmp_path / "x.yaml"
    file.write_text(
        "task: classification\ndata: iris\nmodel:\n  name: sequential\n  layers: [dense: 64]\n"
        "optimizer: {name: adam, lrr: 1}\nmetrics: [accuracy, rmse, f2]\nepochs: 1\n"
    )
    with pytest.raises(SpecError) as told:
        experiment.prepare(spec.load(file))
    message = str(told.value)
    assert "model.layers[0].dense: gives 64 values, but the data has 3 classes" in message
    assert "optimizer.lrr: unknown key; did you mean 'lr'?" in message
    assert "metrics[1]: 'rmse' reads 'value'" in message
    assert "metrics[2]: 'f2': unknown metric" in message
