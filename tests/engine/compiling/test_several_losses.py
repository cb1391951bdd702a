"""Two networks that train each other, each step of both in one compiled call: what steps as written do."""

import pytest
import torch
from tests.engine.compiling.test_compiled_steps import interpreted
from tests.helpers.training import Kept, differing

from dlx.engine.compiling import choice, library
from dlx.engine.step import NonFiniteError

GAN = """
task: {name: gan, loss: non_saturating}
data: {name: digits, batch_size: 64, drop_last: true}
model: {name: mlp_gan, generator_hidden: [8], discriminator_hidden: [8]}
optimizer:
  generator: {name: adam, lr: 0.001, betas: [0.5, 0.999]}
  discriminator: {name: sgd, lr: 0.01, momentum: 0.5}
steps: 12
trainer: {log_every: 3, save_every: 4, evaluate_every: 12}
"""
WAYS = {
    "plain": [],
    "all of the trainer's": ["+trainer.ema=0.8", "+trainer.accumulate=2", "+trainer.clip_norm=0.5", "model.conditional=true"],
    "gradient penalty": ["task.loss=wasserstein", "+task.gradient_penalty=10"],
    "slope at real images": ["+task.r1=0.5"],
}


def tensors(kept):
    moments = [
        one
        for optimizer in kept.trainer.stepper.optimizers.values()
        for some in optimizer.state.values()
        for one in some.values()
    ]
    average = kept.trainer.stepper.average
    return [*kept.built.task.state_dict().values(), *moments, *(average.average.values() if average else [])]


@pytest.mark.parametrize("way", WAYS.values(), ids=WAYS)
def test_both_networks_end_as_by_steps_as_written(way, monkeypatch):
    monkeypatch.setattr(library, "compiled", interpreted)
    written, compiled = (Kept(GAN, *way, f"+device.compile={word}").fit() for word in ("false", "true"))
    assert compiled.trainer.stepper.run is not None
    for one, other in zip(tensors(written), tensors(compiled), strict=True):
        torch.testing.assert_close(one, other, rtol=2e-5, atol=2e-6)
    for one, other in zip(written.lines.rows, compiled.lines.rows, strict=True):
        names = {name for name in one if name.startswith("train/") and name != "train/waiting"}
        assert names == {name for name in other if name.startswith("train/") and name != "train/waiting"}
        assert {name: other[name] for name in names} == pytest.approx({name: one[name] for name in names}, rel=1e-4)


def test_compiled_training_of_two_networks_resumes_exactly(monkeypatch):
    monkeypatch.setattr(library, "compiled", interpreted)
    given = (GAN, "+trainer.ema=0.8", "+device.compile=true")
    alone = Kept(*given).fit()
    for step in (2, 7):
        assert differing(alone, Kept(*given).go_on_from(Kept(*given).interrupt(step)).fit()) == [], f"interrupted at {step}"


@pytest.mark.parametrize("part", ["discriminator", "generator"])
def test_the_network_whose_loss_is_not_finite_is_named_and_not_written(part, monkeypatch):
    monkeypatch.setattr(library, "compiled", interpreted)
    ends = []
    for word in ("false", "true"):
        kept = Kept(GAN, f"+device.compile={word}", "steps=3")
        task, stepper = kept.built.task, kept.trainer.stepper
        task.register_buffer("factor", torch.tensor(1.0))
        own = task.loss._asdict()[part]
        task.loss = task.loss._replace(**{part: lambda *given, own=own, task=task: own(*given) * task.factor})
        kept.fit()
        before = {name: tensor.clone() for name, tensor in task.model.named_parameters()}
        task.factor.fill_(torch.nan)
        with pytest.raises(NonFiniteError, match=f"the loss of the {part} is nan; the step's samples"):
            stepper([next(iter(kept.built.source.train(None)))], {})
        changed = {name for name, tensor in task.model.named_parameters() if not torch.equal(tensor, before[name])}
        assert {name.split(".")[0] for name in changed} == ({"discriminator"} if part == "generator" else set())
        ends.append(tensors(kept))
    for one, other in zip(*ends, strict=True):
        torch.testing.assert_close(one, other, rtol=2e-5, atol=2e-6, equal_nan=True)


def test_steps_that_differ_from_each_other_are_taken_as_written():
    kept = Kept(GAN, "+task.discriminator_steps=2", "+device.compile=true")
    kept.fit()
    assert "steps are not compiled: what the task descends may differ from step to step" in kept.lines.messages
    assert choice.obstacle(Kept(GAN).trainer.stepper, kept.built.source, 1) == ""
