"""Evaluation: the same numbers for any batch size, and no trace left in training."""

import contextlib

import pytest
import torch
from tests.helpers.training import IRIS, Kept

from dlx.engine.evaluator import evaluate, evaluating

ALL = "+metrics=[accuracy, balanced_accuracy, precision, recall, f1, roc_auc, {name: top_k, k: 2}]"
NUMBERS = "{name: diabetes, batch_size: 32}"
REGRESSION = ["task=regression", f"data={NUMBERS}", "model.layers=[{dense: num_outputs}]", "+metrics=[mae, mse, rmse, r2]"]


def numbers(kept, size, split="val", **choices):
    kept.built.source.evaluation_batch_size = size
    built = kept.built
    return evaluate(built.task, built.source.evaluate(None, split), built.make_metrics, built.device, 0, **choices)


@pytest.mark.parametrize("overrides", [[ALL], REGRESSION], ids=["classification", "regression"])
def test_numbers_do_not_depend_on_the_batch_size(overrides):
    kept = Kept(IRIS, *overrides, "epochs=1").fit()
    whole = numbers(kept, 10_000).scalars
    assert len(whole) > 4
    for size in (1, 7):
        assert numbers(kept, size).scalars == pytest.approx(whole, rel=1e-5)


def test_class_weights_weigh_the_validation_loss_alike_in_any_batch():
    kept = Kept(IRIS, "task={name: classification, class_weights: [1.0, 5.0, 0.2]}", "epochs=1").fit()
    assert numbers(kept, 7).scalars["loss"] == pytest.approx(numbers(kept, 1000).scalars["loss"], rel=1e-6)


@pytest.mark.parametrize("overrides", [[], ["+trainer.ema=0.9"]])
def test_evaluation_does_not_disturb_training(overrides):
    often, rarely = Kept(IRIS, *overrides, "+trainer.evaluate_every=1").fit(), Kept(IRIS, *overrides).fit()
    for name, tensor in often.built.task.state_dict().items():
        assert torch.equal(tensor, rarely.built.task.state_dict()[name]), name


def test_randomness_within_an_evaluation_is_its_own_and_always_the_same():
    kept = Kept()
    torch.manual_seed(3)
    before = torch.get_rng_state()
    kept.built.task.train()
    drawn = []
    for _ in range(2):
        with evaluating(kept.built.task, kept.built.device, 7):
            assert not kept.built.task.training
            assert not torch.is_grad_enabled()
            drawn.append(torch.rand(3))
    assert torch.equal(*drawn)
    assert kept.built.task.training
    assert torch.equal(before, torch.get_rng_state())


def test_randomness_is_given_back_after_a_failure():
    kept = Kept()
    before = torch.get_rng_state()
    with contextlib.suppress(RuntimeError), evaluating(kept.built.task, kept.built.device, 7):
        torch.rand(3)
        raise RuntimeError
    assert torch.equal(before, torch.get_rng_state())


def test_the_baseline_is_what_an_answer_without_looking_achieves():
    found = numbers(Kept(IRIS, "data=breast_cancer", ALL), 50, with_baseline=True)
    target = Kept(IRIS, "data=breast_cancer").built.source.data["val"]["target"]
    assert found.baseline["accuracy"] == pytest.approx((target == 1).float().mean().item())
    assert found.baseline["roc_auc"] == 0.5
    assert not numbers(Kept(), 50).baseline
    found = numbers(Kept(IRIS, *REGRESSION), 50, with_baseline=True)
    assert found.baseline["r2"] == pytest.approx(0, abs=0.1)
    assert found.higher_is_better == {"loss": False, "mae": False, "mse": False, "rmse": False, "r2": True}


def test_pictures_are_drawn_from_what_the_metrics_saw():
    found = numbers(Kept(), 50)
    assert list(found.pictures()) == ["confusion_matrix"]
    assert found.metrics[-1].counts.sum() == 30
