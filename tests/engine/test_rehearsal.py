"""What would fail at an epoch's end fails before the first step: small batches, numbers that hide each other or stay NaN."""

import math

import pytest
import torch
from tests.helpers.training import IRIS, Kept

from dlx import registry
from dlx.assembly.experiment import prepare
from dlx.assembly.trainer import build_trainer
from dlx.config import spec
from dlx.config.values import SpecError
from dlx.core import Loss, Metric
from dlx.engine.rehearsal import trying, untrainable
from dlx.errors import ComponentError, DlxError

GAN = """
task: gan
data: {name: digits, batch_size: 16}
model:
  name: gan
  generator: [{dense: 8}, batch_norm, relu, {dense: 64}, tanh, {reshape: [1, 8, 8]}]
  discriminator: [flatten, {dense: 8}, relu, {dense: 1}]
metrics: [sliced_wasserstein]
epochs: 1
"""


# Batches that are too small.


@pytest.mark.parametrize(
    ("overrides", "message"),
    [
        (["data.batch_size=89"], "the last batch of an epoch has 1 sample, too few .*Expected more than 1 value per channel"),
        (["data.batch_size=89", "+trainer.accumulate=2"], "the last batch of an epoch has 1 sample.*; set drop_last: true"),
        (["data.batch_size=89", "~epochs", "+steps=2"], "the last batch of an epoch has 1 sample"),
        (["data.batch_size=1"], "a batch of 1 sample is too small for this model to train on .*; choose a larger one"),
        (["data.batch_size=1", "~epochs", "+steps=1"], "a batch of 1 sample is too small"),
    ],
)
def test_a_batch_of_one_under_batch_norm_is_refused_before_the_first_step(overrides, message):
    kept = Kept(IRIS, *overrides)
    with pytest.raises(ComponentError, match=message) as caught:
        kept.fit()
    assert caught.value.path == ("data", "batch_size")
    assert kept.trainer.step == 0


@pytest.mark.parametrize(
    "overrides",
    [
        ["data.batch_size=89", "+data.drop_last=true"],
        ["data.batch_size=88"],
        ["data.batch_size=89", "~epochs", "+steps=1"],  # ends before the last batch of the first epoch
        ["data.batch_size=89", "~model.layers[1]"],  # without batch norm
    ],
)
def test_batches_that_the_model_can_be_trained_on_are_trained_on(overrides):
    assert Kept(IRIS, "epochs=1", *overrides).fit().trainer.step


def test_it_is_told_where_the_config_says_so(tmp_path):
    file = tmp_path / "x.yaml"
    file.write_text(IRIS.replace("16", "89"))
    described = spec.load(file)
    trainer = build_trainer(prepare(described))
    place = r"x\.yaml:3:20 data\.batch_size: the last batch of an epoch has 1 sample"
    with pytest.raises(SpecError, match=place), described.telling():
        trainer.rehearse()


def test_every_loss_of_a_task_with_parts_is_tried():
    kept = Kept(GAN, "data.batch_size=" + str(Kept(GAN).built.source.size - 1))
    with pytest.raises(ComponentError, match="the last batch of an epoch has 1 sample"):
        kept.trainer.rehearse()


def test_a_loss_that_is_finite_for_more_samples_only_is_told():
    kept = Kept(IRIS, "data.batch_size=89", "~model.layers[1]")
    healthy = kept.built.task.forward
    kept.built.task.forward = lambda batch: Loss(healthy(batch).value / (len(batch["target"]) > 1))
    with pytest.raises(ComponentError, match="1 sample, too few for this model to train on \\(its loss is inf\\)"):
        kept.trainer.rehearse()


def test_what_fails_whatever_the_size_is_not_put_down_to_it():
    kept = Kept(IRIS, "data.batch_size=89")

    def fail(batch):
        raise RuntimeError("no forward")

    kept.built.task.forward = fail
    kept.trainer.rehearse()
    with pytest.raises(RuntimeError, match="no forward"):
        kept.fit()


def test_a_backbone_that_thaws_later_is_tried_as_it_will_be():
    kept = Kept(IRIS, "data.batch_size=89")
    model, epochs = kept.built.task.model, []

    def enter_epoch(epoch):
        epochs.append(epoch)
        model.train = lambda mode=True: torch.nn.Module.train(model, mode and epoch > 1)
        model.train(model.training)

    object.__setattr__(model, "enter_epoch", enter_epoch)
    with pytest.raises(ComponentError, match="1 sample"):
        kept.trainer.rehearse()
    assert epochs == [2]


def test_trying_leaves_weights_buffers_mode_and_randomness_as_they_were():
    kept = Kept()
    task, device = kept.built.task, kept.built.device
    before = {name: tensor.clone() for name, tensor in task.state_dict().items()}
    random, batch = torch.get_rng_state(), next(iter(kept.built.source.evaluate(None, "train")))
    task.eval()
    assert untrainable(task, batch, device, 0) == ""
    assert not task.training
    assert torch.equal(random, torch.get_rng_state())
    for name, tensor in task.state_dict().items():
        assert torch.equal(tensor, before[name]), name
    with trying(task, device, 0):
        assert task.training
        task.losses(batch).__next__()
        assert any(not torch.equal(tensor, before[name]) for name, tensor in task.state_dict().items())


# Numbers of one name.


class Named(Metric):
    """Gives one number under any name."""

    def __init__(self, *, name_given: str = "loss", value: float = 0.5):
        self.name_given, self.value = name_given, value

    def update(self, prediction, batch):
        pass

    def merge(self, other):
        pass

    def compute(self):
        return {self.name_given: self.value}


@pytest.fixture
def named():
    with registry.metrics.scratch() as metrics:
        metrics.adopt("named", Named)
        yield


@pytest.mark.usefixtures("named")
@pytest.mark.parametrize(
    ("metrics", "place", "message"),
    [
        ("[accuracy, named]", 1, "gives the number 'loss', which is the task's own"),
        ("[accuracy, {name: named, name_given: accuracy}]", 1, "'accuracy', which metrics\\[0\\] gives too; .*leave one out"),
        ("[{name: named, name_given: a}, accuracy, {name: named, name_given: a, value: 0.25}]", 2, "'a', which metrics\\[0\\]"),
        ("[{name: f1, per_class: true}, report]", 1, "'f1/setosa', which metrics\\[0\\] gives too"),
        ("[{name: top_k, k: 3}, {name: top_k, k: 4}]", 1, "'top_3_accuracy', which metrics\\[0\\] gives too"),
    ],
)
def test_two_numbers_of_one_name_are_refused_before_the_first_step(metrics, place, message):
    kept = Kept(IRIS, f"+metrics={metrics}")
    with pytest.raises(ComponentError, match=message) as caught:
        kept.fit()
    assert caught.value.path == ("metrics", place)
    assert kept.trainer.step == 0


def test_one_metric_with_two_settings_and_two_names_is_taken():
    kept = Kept(IRIS, "+metrics=[f1, {name: f1, average: micro}, {name: top_k, k: 1}, {name: top_k, k: 2}]", "epochs=1").fit()
    assert {"val/f1", "val/f1_micro", "val/top_1_accuracy", "val/top_2_accuracy"} <= set(kept.lines.rows[-1])


@pytest.mark.parametrize("section", ["metrics", "loggers"])
def test_a_component_that_stands_twice_alike_is_refused(section):
    given = {"metrics": "[f1, {name: f1, average: macro}]", "loggers": "[tensorboard, tensorboard]"}[section]
    with pytest.raises(SpecError, match=rf"{section}\[1\]: '\w+' stands twice with the same settings, first as {section}\[0\]"):
        prepare(spec.parse(IRIS, "x.yaml", [f"+{section}={given}"]))


@pytest.mark.parametrize("name", ["console", "jsonl"])
def test_a_logger_that_every_run_has_is_not_named_again(name):
    with pytest.raises(SpecError, match=rf"loggers\[0\]: every run has the logger '{name}' already; leave it out"):
        prepare(spec.parse(IRIS, "x.yaml", [f"+loggers=[{name}]"]))


def test_two_pictures_of_one_name_are_told_apart():
    kept = Kept(IRIS, "+metrics=[accuracy, calibration_error, confusion_matrix]")
    metrics = kept.built.make_metrics()
    kept.trainer.make_metrics = lambda: [
        metrics[0],
        metrics[2],
        registry.metrics.build("confusion_matrix", {}, {"num_classes": 3}),
    ]
    assert list(kept.trainer.validate().pictures()) == ["confusion_matrix", "confusion_matrix_2"]


@pytest.mark.parametrize("name", ["loss", "lr", "waiting", "gradient_norm/generator"])
def test_a_further_number_of_a_loss_does_not_hide_one_of_the_log(name):
    kept = Kept()
    healthy = kept.built.task.forward
    kept.built.task.forward = lambda batch: Loss(healthy(batch).value, scalars={name: 0.0})
    with pytest.raises(DlxError, match=f"gives a number '{name}' beside its loss"):
        kept.fit()


# A number that stays NaN.

ONE_CLASS = "+metrics=[accuracy, roc_auc]"


def only(kept, split, classes):
    """Leave samples of some classes in a split."""
    data = kept.built.source.data[split]
    chosen = torch.isin(data["target"], torch.tensor(classes))
    kept.built.source.data[split] = {word: value[chosen] for word, value in data.items()}


def test_a_number_that_the_targets_leave_undefined_is_refused_with_the_reason():
    kept = Kept(IRIS, ONE_CLASS, "+trainer.monitor=roc_auc")
    only(kept, "val", [1])
    with pytest.raises(
        ComponentError, match=r"'roc_auc', .* not defined on the validation split: all samples are of one class, 'vers"
    ) as told:
        kept.fit()
    assert told.value.path == ("metrics", 1)
    assert kept.trainer.step == 0


def test_a_first_batch_of_one_class_is_no_proof():
    kept = Kept(IRIS, ONE_CLASS, "+trainer.monitor=roc_auc", "epochs=1")
    order = kept.built.source.data["val"]["target"].argsort()
    kept.built.source.data["val"] = {word: value[order] for word, value in kept.built.source.data["val"].items()}
    kept.built.source.evaluation_batch_size = 3
    assert kept.fit().trainer.step == kept.trainer.total_steps


def test_a_number_that_chooses_nothing_may_stay_undefined():
    kept = Kept(IRIS, ONE_CLASS, "epochs=1")
    only(kept, "val", [1])
    kept.fit()
    assert math.isnan(kept.lines.rows[-1]["val/roc_auc"])


@pytest.mark.usefixtures("named")
def test_a_number_that_answers_may_mend_is_warned_of(caplog):
    kept = Kept(IRIS, "+metrics=[accuracy, {name: named, name_given: mine}]", "+trainer.monitor=mine", "epochs=1")
    step = kept.trainer
    make = kept.built.make_metrics

    def mending():
        made = make()
        made[1].value = math.nan if step.step == 0 else 0.5
        return made

    kept.trainer.make_metrics = mending
    kept.fit()
    assert "'mine', which chooses the best checkpoint, is not defined on the validation split before training" in caplog.text
