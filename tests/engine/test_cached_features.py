import dataclasses

import pytest
import torch
from torch import nn

from dlx.assembly.experiment import prepare
from dlx.assembly.trainer import build_trainer
from dlx.config import spec
from dlx.core import Logger, Task
from dlx.data.in_memory import InMemorySource
from dlx.engine import cached_features as features
from dlx.engine.cached_features import CachedFeatures, SpillingTensor
from dlx.engine.device import Device
from dlx.tasks.classification import Classification

CONFIG = """
task: classification
data: {name: digits, form: image, batch_size: 64, val: 0.1, test: 0.1}
model: {name: mobilenet_v3_small, freeze: backbone, hidden: [16]}
optimizer: {name: adam, lr: 0.01}
epochs: 2
"""


class Net(nn.Module):
    """A frozen backbone that counts the images it sees."""

    frozen_features = True

    def __init__(self):
        super().__init__()
        self.backbone, self.head = nn.Linear(3, 4).requires_grad_(False), nn.Linear(4, 2)
        self.seen = 0

    def forward(self, input=None, features=None):
        return self.head(self.extract(input) if features is None else features)

    def extract(self, input):
        self.seen += len(input)
        return self.backbone(input).relu()


def source(**choices):
    torch.manual_seed(0)
    data = {
        split: {"input": torch.randn(n, 3), "target": torch.randint(0, 2, (n,))} for split, n in [("train", 22), ("val", 7)]
    }
    return InMemorySource(3, data, {"num_classes": 2}, batch_size=4, evaluation_batch_size=5, **choices)


def wrapped(model=None, **choices):
    torch.manual_seed(1)
    task = Classification(model or Net(), 2)
    return features.cached(source(**choices), task, Device(name="cpu")), task


def epochs(batches_of, task, count):
    return [batch for _ in range(count) for batch in batches_of.train(task)]


@pytest.mark.parametrize("drop_last", [False, True])
def test_batches_are_those_of_the_source(drop_last):
    cached, task = wrapped(drop_last=drop_last)
    plain = source(drop_last=drop_last)
    assert isinstance(cached, CachedFeatures)
    assert cached.batches_per_epoch == plain.batches_per_epoch
    assert cached.splits() == plain.splits()
    ours, theirs = epochs(cached, task, 3), epochs(plain, task, 3)
    for one, other in zip(ours, theirs, strict=True):
        assert set(one) == {"features", "target", "index"}
        assert torch.equal(one["index"], other["index"])
        assert torch.equal(one["target"], other["target"])
        torch.testing.assert_close(one["features"], task.model.extract(other["input"]), rtol=0, atol=1e-6)
    assert cached.state_dict() == plain.state_dict()


def test_every_image_is_seen_once():
    cached, task = wrapped()
    epochs(cached, task, 3)
    for _ in range(3):
        val = list(cached.evaluate(task, "val"))
    assert [len(batch["index"]) for batch in val] == [5, 2]
    assert task.model.seen == 22 + 7


def test_a_first_look_at_one_batch_keeps_nothing():
    cached, task = wrapped()
    for _ in range(3):
        first = next(iter(cached.evaluate(task, "val")))
    again = list(cached.evaluate(task, "val"))
    assert torch.equal(first["features"], again[0]["features"])
    assert sum(len(batch["index"]) for batch in again) == 7
    assert task.model.seen == 7, "not even a first look is computed twice"


def test_other_weights_make_other_features():
    cached, task = wrapped()
    before = next(cached.train(task))["features"]
    with torch.no_grad():
        task.model.backbone.weight.mul_(-1)
    cached.load_state_dict(source().state_dict())  # as a resume does, once the weights are there
    assert not torch.equal(next(cached.train(task))["features"], before)


def test_a_position_resumes():
    cached, task = wrapped()
    batches = cached.train(task)
    before = [next(batches)["index"] for _ in range(2)]
    again, task = wrapped()
    again.load_state_dict(cached.state_dict())
    rest = [batch["index"] for batch in again.train(task)]
    assert sorted(torch.cat(before + rest).tolist()) == list(range(22))


def test_what_a_model_does_in_place_does_no_harm():
    cached, task = wrapped()
    for _ in range(2):
        for batch in [*cached.evaluate(task, "val"), *cached.train(task)]:
            batch["features"].zero_()
    assert all(batch["features"].any() for batch in cached.evaluate(task, "val"))


def test_what_may_not_be_kept_is_left_alone():
    for name, value in (("random_inputs", True), ("ordered", False)):
        plain = source()
        setattr(plain, name, value)
        assert features.cached(plain, Classification(Net(), 2), Device(name="cpu")) is plain
    warm = Net()
    warm.frozen_features = False
    assert not isinstance(wrapped(warm)[0], CachedFeatures)
    assert not isinstance(features.cached(plain, Classification(nn.Linear(3, 2), 2), Device(name="cpu")), CachedFeatures)


def test_images_come_again_when_the_backbone_thaws():
    cached, task = wrapped()
    epochs(cached, task, 1)
    task.model.frozen_features = False
    assert {"input", "target", "index"} == set(next(cached.train(task))) == set(next(iter(cached.evaluate(task, "val"))))


def test_the_first_pass_is_prepared_in_pieces_between_which_it_may_end():
    cached, task = wrapped()
    pieces = cached.prepare(task)
    next(pieces)
    pieces.close()  # as a signal that is looked for between them does
    assert not cached.kept
    assert cached.state_dict()["samples"] == 0
    assert len(list(cached.prepare(task))) == len(list(cached.source.evaluate(task, "train")))
    assert "train" in cached.kept
    assert list(cached.prepare(task)) == []


def test_large_features_lie_in_a_file(monkeypatch):
    monkeypatch.setattr(features, "LARGE", 100)
    parts = [torch.randn(3, 2, 5).to(torch.bfloat16) for _ in range(4)] + [torch.randn(1, 2, 5).to(torch.bfloat16)]
    growing = SpillingTensor()
    for part in parts:
        growing.append(part)
    assert growing.file is not None
    assert torch.equal(growing.finish(), torch.cat(parts))


def train(cache):
    described = spec.parse(CONFIG, "experiment.yaml", [])
    built = prepare(described)
    trainer = build_trainer(built)
    rows = []

    class Lines(Logger):
        def log(self, step, scalars):
            rows.append({name: value for name, value in scalars.items() if name not in ("seconds", "train/waiting")})

    trainer.options = dataclasses.replace(trainer.options, log_every=1)
    trainer.source = features.cached(built.source, built.task, built.device) if cache else built.source
    assert isinstance(trainer.source, CachedFeatures) == cache
    trainer.fit(Lines())
    return rows, {name: value.clone() for name, value in built.task.state_dict().items()}


def test_training_equals_the_plain_way():
    plain, plain_weights = train(False)
    cached, cached_weights = train(True)
    assert len(plain) == len(cached)
    for one, other in zip(plain, cached, strict=True):
        assert one == pytest.approx(other, rel=1e-5, abs=1e-6)
    assert list(plain_weights) == list(cached_weights), "the checkpoint is the whole network"
    for name, value in plain_weights.items():
        torch.testing.assert_close(value, cached_weights[name], rtol=1e-5, atol=1e-6)


def test_the_model_reads_the_word():
    assert Task(Net()).words == ("input", "features")
