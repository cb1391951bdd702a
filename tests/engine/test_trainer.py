"""The loop: what is logged, judged and saved when, and how it refuses to go on."""

import math

import pytest
import torch
from tests.helpers.training import IRIS, Kept

from dlx.core import Loss, Metric
from dlx.engine.step import NonFiniteError
from dlx.errors import ComponentError, DlxError
from dlx.storage import snapshot


def poison(kept, step, kind):
    """Let a step's loss, or one number of its gradients, be no number."""
    task, seen = kept.built.task, [0]
    healthy = task.forward

    def forward(batch):
        seen[0] += 1
        loss = healthy(batch)
        if seen[0] != step:
            return loss
        if kind == "loss":
            return Loss(loss.value * math.nan, loss.weight)
        task.model[0].weight.register_hook(lambda gradient: gradient * math.nan)
        return loss

    task.forward = forward


@pytest.mark.parametrize("kind", ["loss", "gradient"])
@pytest.mark.parametrize("ema", [[], ["+trainer.ema=0.9"]])
def test_a_step_that_is_not_finite_stops_the_run_before_it_is_applied_or_saved(kind, ema):
    kept = Kept(IRIS, "+trainer.save_every=1", *ema)
    poison(kept, 5, kind)
    with pytest.raises(
        NonFiniteError, match=rf"^step 5: the {kind}.*; the step's samples in the training split: (\d+, ){{15}}\d+$"
    ):
        kept.fit()
    step, files = kept.saved[-1]
    assert step == 4
    name = "training.safetensors" if ema else "model.safetensors"
    healthy = snapshot.unpack_tensors(files[name])
    for key, value in kept.built.task.named_parameters():
        assert torch.equal(value, healthy[key])
        assert value.isfinite().all()


def test_a_validation_number_that_is_not_finite_stops_the_run_and_is_not_saved():
    kept = Kept(IRIS, "+trainer.monitor=loss", "+trainer.save_every=6")
    score = kept.built.task.score
    kept.built.task.score = lambda *words: Loss(score(*words).value * (math.inf if kept.trainer.step >= 6 else 1))
    with pytest.raises(NonFiniteError, match="step 6: the validation loss is inf"):
        kept.fit()
    assert [step for step, _ in kept.saved] == [0]


def test_lines_come_at_their_steps_with_the_means_since_the_last_one():
    kept = Kept(IRIS, "trainer.log_every=4").fit()
    assert [row["step"] for row in kept.lines.rows] == [4, 6, 8, 12, 16, 18]
    assert [row["epoch"] for row in kept.lines.rows] == [0.6667, 1, 1.3333, 2, 2.6667, 3]
    every = Kept(IRIS, "trainer.log_every=1").fit()
    first = [row["train/loss"] for row in every.lines.rows[:4]]
    assert kept.lines.rows[0]["train/loss"] == pytest.approx(sum(first) / 4)
    # The fifth and the sixth batch: 16 samples and the 10 that are left.
    fifth, sixth = (row["train/loss"] for row in every.lines.rows[4:6])
    assert kept.lines.rows[1]["train/loss"] == pytest.approx((16 * fifth + 10 * sixth) / 26)
    assert {key for key in kept.lines.rows[1] if key.startswith("val/")} == {"val/loss", "val/accuracy", "val/f1"}


def test_no_step_reaches_over_the_end_of_an_epoch():
    kept = Kept(IRIS, "+trainer.accumulate=4")
    sizes = []
    descend = kept.trainer.descend
    kept.trainer.descend = lambda group: (sizes.append([len(batch["index"]) for batch in group]), descend(group))
    kept.fit()
    assert sizes == [[16] * 4, [16, 10]] * 3
    assert kept.trainer.step == kept.trainer.total_steps == 6


def test_training_stops_early_after_evaluations_without_a_new_best():
    kept = Kept(IRIS, "epochs=50", "optimizer={name: sgd, lr: 0.0}", "+trainer.early_stopping=3")
    kept.trainer.higher_is_better = True
    kept.fit()
    values = [row["val/accuracy"] for row in kept.lines.rows if "val/accuracy" in row]
    assert kept.trainer.finished_early
    assert kept.trainer.step == 6 * len(values) < 300
    assert kept.trainer.evaluations_without_best == 3
    assert kept.saved[-1][0] == kept.trainer.step
    assert "no better accuracy in 3 evaluations; stopping early" in kept.lines.messages[-1]


def test_the_best_of_equal_numbers_has_the_smaller_loss():
    trainer = Kept().trainer
    trainer.monitor = "accuracy"
    judged = [(0.5, 2.0), (0.5, 1.0), (0.5, 1.0), (0.6, 9.0), (0.5, 0.1)]
    assert [trainer.update_best({"accuracy": a, "loss": b}) for a, b in judged] == [True, True, False, True, False]
    trainer.best, trainer.monitor, trainer.higher_is_better = None, "loss", False
    assert [trainer.update_best({"loss": loss}) for loss in (2.0, 3.0, 1.0)] == [True, False, True]


class Fails(Metric):
    """Cannot take a batch in."""

    def update(self, prediction, batch):
        raise DlxError("this metric fails")

    def merge(self, other):
        pass

    def compute(self):
        return {"fails": 0.0}


def test_a_metric_that_fails_does_so_before_the_first_step():
    kept = Kept()
    kept.trainer.make_metrics = lambda: [Fails()]
    with pytest.raises(DlxError, match="this metric fails"):
        kept.fit()
    assert kept.trainer.step == 0
    assert not kept.saved


def test_a_checkpoint_that_cannot_be_saved_fails_before_the_first_step():
    kept = Kept()

    def full(trainer, states):
        raise DlxError("cannot save: No space left on device")

    kept.save = full
    with pytest.raises(DlxError, match="No space left"):
        kept.fit()
    assert kept.trainer.step == 0


@pytest.mark.parametrize(
    ("overrides", "message", "path"),
    [
        (["+trainer.monitor=acuracy"], "no number 'acuracy'; did you mean 'accuracy'", ("trainer", "monitor")),
        (["+data.val=0.0", "+trainer.monitor=loss"], "needs a validation split", ("trainer", "monitor")),
        (["+data.val=0.0", "+trainer.early_stopping=2"], "needs a validation split", ("trainer", "early_stopping")),
    ],
)
def test_what_cannot_be_monitored_is_told_before_the_first_step(overrides, message, path):
    kept = Kept(IRIS, *overrides)
    with pytest.raises(ComponentError, match=message) as caught:
        kept.fit()
    assert caught.value.path == path
    assert kept.trainer.step == 0


def test_data_without_a_validation_split_trains_and_saves_its_end():
    kept = Kept(IRIS, "+data.val=0.0").fit()
    assert kept.saved[-1][0] == kept.trainer.total_steps
    assert kept.trainer.best is None


def test_the_rehearsal_leaves_no_trace_in_training():
    rehearsed, plain = Kept(), Kept()
    before = torch.get_rng_state()
    rehearsed.trainer.rehearse()
    assert torch.equal(before, torch.get_rng_state())
    for name, tensor in rehearsed.built.task.state_dict().items():
        assert torch.equal(tensor, plain.built.task.state_dict()[name])


def test_no_steps_are_a_training_too():
    kept = Kept(IRIS, "epochs=0").fit()
    assert [step for step, _ in kept.saved] == [0]
    assert not kept.lines.rows


def test_a_source_that_yields_nothing_is_told():
    kept = Kept()
    kept.trainer.source.train = lambda actor: iter(())
    with pytest.raises(DlxError, match="yields no training batch"):
        kept.fit()
