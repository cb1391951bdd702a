"""Training that was stopped anywhere and resumed equals training that was left alone, bit for bit."""

import pytest
import torch
from tests.helpers.training import IRIS, Kept, differing

from dlx.storage import snapshot

# 90 rows in batches of 16, two to a step: 3 steps an epoch, the last one of 26 rows.
OPTIMIZERS = {
    "momentum": "{name: sgd, lr: 0.05, momentum: 0.9, nesterov: true, weight_decay: 0.01}",
    "adam": "{name: adam, lr: 0.01, amsgrad: true}",
    "adamw": "{name: adamw, lr: 0.01}",
    "rmsprop": "{name: rmsprop, lr: 0.01, momentum: 0.5, centered: true}",
    "nadam": "{name: nadam, lr: 0.01}",
    "adagrad": "{name: adagrad, lr: 0.05, lr_decay: 0.01}",
    "adadelta": "adadelta",
    "adamax": "adamax",
    "radam": "{name: radam, lr: 0.01}",
    "groups": "{name: adam, lr: 0.01, groups: {'0_dense.*': {lr: 0.001}}}",
}
WAYS = {
    "plain": [],
    "average": ["+trainer.ema=0.8"],
    "accumulate": ["+trainer.accumulate=2", "+trainer.clip_norm=0.5"],
    "cosine": ["+schedule={name: cosine, warmup: 4}"],
    "inverse_square_root": ["+schedule={name: inverse_square_root, warmup: 3}"],
    "plateau": ["+schedule={name: plateau, patience: 1, gamma: 0.5}", "+trainer.evaluate_every=2"],
    "every_third": ["+trainer.save_every=3", "+trainer.evaluate_every=5", "trainer.log_every=7"],
    "stops_early": ["+trainer.early_stopping=2", "+trainer.monitor=accuracy", "epochs=6"],
}


def check_every_step(*overrides, every=1):
    alone = Kept(IRIS, *overrides).fit()
    for step in range(0, alone.trainer.step, every):
        interrupted = Kept(IRIS, *overrides).interrupt(step)
        assert differing(alone, Kept(IRIS, *overrides).go_on_from(interrupted).fit()) == [], f"interrupted at {step}"
        crashed = Kept(IRIS, *overrides).crash(step)
        assert differing(alone, Kept(IRIS, *overrides).go_on_from(crashed).fit()) == [], f"crashed at {step}"


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_every_optimizer_resumes_exactly(name):
    check_every_step(f"optimizer={OPTIMIZERS[name]}", "+trainer.save_every=4", every=5)


@pytest.mark.parametrize("way", WAYS)
def test_every_step_resumes_exactly(way):
    check_every_step(*WAYS[way], every=2)


def test_everything_at_once_resumes_exactly_at_every_step():
    check_every_step(*WAYS["average"], *WAYS["accumulate"], *WAYS["plateau"], "+trainer.save_every=4")


def test_a_training_interrupted_after_every_step_ends_the_same():
    alone = Kept(IRIS, *WAYS["average"], *WAYS["cosine"]).fit()
    now = Kept(IRIS, *WAYS["average"], *WAYS["cosine"]).interrupt(1)
    for step in range(2, alone.trainer.total_steps + 1):
        now = Kept(IRIS, *WAYS["average"], *WAYS["cosine"]).go_on_from(now).interrupt(step)
    assert differing(alone, Kept(IRIS, *WAYS["average"], *WAYS["cosine"]).go_on_from(now).fit()) == []


def test_two_trainings_are_equal_and_another_seed_is_not():
    assert differing(Kept().fit(), Kept().fit()) == []
    assert "model.safetensors" in differing(Kept().fit(), Kept(IRIS, "+seed=1").fit())


@pytest.mark.parametrize("way", ["plain", "average", "accumulate"])
def test_an_extended_training_equals_the_longer_one(way):
    short = Kept(IRIS, *WAYS[way], "epochs=2").fit()
    longer = Kept(IRIS, *WAYS[way], "epochs=4").fit()
    assert differing(longer, Kept(IRIS, *WAYS[way], "epochs=4").go_on_from(short).fit()) == []


def test_a_finished_training_has_nothing_left_to_do():
    done = Kept(IRIS, "epochs=1").fit()
    again = Kept(IRIS, "epochs=1").go_on_from(done).fit()
    assert differing(done, again) == []
    assert again.trainer.step == done.trainer.step


def test_the_saved_state_holds_the_best_one_that_waited():
    kept = Kept(IRIS, "epochs=5").interrupt(25)
    best = kept.trainer.best["step"]
    assert [step for step, _ in kept.saved] == sorted({0, best, 25})


def test_states_of_tensors_that_share_memory_are_saved_whole():
    whole = torch.arange(6.0)
    kept = snapshot.unpack_tensors(
        snapshot.pack_tensors({"whole": whole, "part": whole[:2], "again": whole, "none": whole[:0]})
    )
    assert {name: value.tolist() for name, value in kept.items()} == {
        "whole": whole.tolist(),
        "part": [0.0, 1.0],
        "again": whole.tolist(),
        "none": [],
    }
