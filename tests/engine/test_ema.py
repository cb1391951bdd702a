"""The moving average: its numbers, and that every name of a tied parameter follows it into a checkpoint."""

import contextlib

import torch
from tests.helpers.training import IRIS, Kept
from torch import nn

from dlx.engine.ema import MovingAverage
from dlx.storage import snapshot


def test_the_average_is_the_one_written_down():
    layer = nn.Linear(2, 2)
    average, wanted = MovingAverage(layer, 0.9), layer.weight.detach().clone()
    for number in range(1, 120):
        with torch.no_grad():
            layer.weight += torch.randn(2, 2)
        average.update()
        decay = min(0.9, (1 + number) / (10 + number))
        wanted = decay * wanted + (1 - decay) * layer.weight.detach()
    assert torch.allclose(average.average["weight"], wanted, atol=1e-5)


def test_the_module_has_the_average_for_a_while_only():
    layer = nn.Linear(2, 2)
    own = layer.weight.detach().clone()
    average = MovingAverage(layer, 0.9)
    average.average["weight"].zero_()
    with contextlib.suppress(RuntimeError), average.applied():
        assert not layer.weight.any()
        raise RuntimeError
    assert torch.equal(layer.weight, own)


def test_frozen_parameters_have_no_average():
    layer = nn.Linear(2, 2)
    layer.bias.requires_grad_(False)
    assert list(MovingAverage(layer, 0.9).average) == ["weight"]


def test_every_name_of_a_tied_parameter_is_saved_averaged():
    kept = Kept(IRIS, "+trainer.ema=0.5", "model.layers=[{dense: 4}, {dense: 4}, {dense: num_classes}]")
    model = kept.built.task.model
    model[1].weight = model[0].weight
    again = Kept(IRIS, "+trainer.ema=0.5", "model.layers=[{dense: 4}, {dense: 4}, {dense: num_classes}]")
    again.built.task.model[1].weight = again.built.task.model[0].weight
    from dlx.assembly.trainer import build_trainer

    trainers = [build_trainer(one.built) for one in (kept, again)]
    kept.trainer, again.trainer = trainers
    with torch.no_grad():
        model[0].weight += 1
    kept.trainer.average.update()
    files = kept.pack()
    weights, training = (snapshot.unpack_tensors(files[f"{name}.safetensors"]) for name in ("model", "training"))
    first, second = "model.0_dense.weight", "model.1_dense.weight"
    assert torch.equal(weights[first], weights[second])
    assert torch.equal(training[first], training[second])
    assert not torch.equal(weights[first], training[first])
    from dlx.engine.saver import unpack

    unpack(again.trainer, files)
    assert torch.equal(again.trainer.average.average[first], weights[first])
    assert torch.equal(again.built.task.model[0].weight, model[0].weight)


def test_evaluations_use_the_average_and_leave_the_weights():
    kept = Kept(IRIS, "+trainer.ema=0.9", "epochs=1").fit()
    weights = snapshot.unpack_tensors(kept.saved[-1][1]["model.safetensors"])
    training = snapshot.unpack_tensors(kept.saved[-1][1]["training.safetensors"])
    assert any(not torch.equal(weights[name], training[name]) for name in weights)
    assert torch.equal(training["model.0_dense.weight"], kept.built.task.model[0].weight)
    snapshot.load_module(kept.built.task, weights)
    from dlx.engine.evaluator import evaluate

    source = kept.built.source
    found = evaluate(kept.built.task, source.evaluate(None, "val"), kept.built.make_metrics, kept.built.device, 0)
    assert found.scalars["loss"] == kept.lines.rows[-1]["val/loss"]
