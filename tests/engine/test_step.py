"""The step: exact sums over micro-batches, any number of losses, and nothing applied that is not finite."""

import math

import pytest
import torch
from tests.helpers.training import IRIS, Kept
from torch import nn
from torch.nn.functional import binary_cross_entropy_with_logits as bce
from torch.nn.functional import cross_entropy

from dlx.core import Loss, Task
from dlx.engine.device import Device
from dlx.engine.step import NonFiniteError, Stepper
from dlx.errors import DlxError
from dlx.tasks.classification import Classification


def batches(*sizes, features=6, classes=3, seed=0):
    generator = torch.Generator().manual_seed(seed)
    start, made = 0, []
    for size in sizes:
        words = {
            "input": torch.randn(size, features, generator=generator),
            "target": torch.randint(classes, (size,), generator=generator),
        }
        made.append(words | {"index": torch.arange(start, start + size)})
        start += size
    return made


def network(features=6, classes=3, seed=1):
    torch.manual_seed(seed)
    return nn.Sequential(nn.Linear(features, 10), nn.Tanh(), nn.Linear(10, classes))


class Net(nn.Module):
    def __init__(self, body):
        super().__init__()
        self.body = body

    def forward(self, input):
        return self.body(input)


def stepper(task, make=lambda p: torch.optim.SGD(p, lr=0.1), parts=("",), **choices):
    found = {part: make((getattr(task.model, part) if part else task.model).parameters()) for part in parts}
    return Stepper(task, found, Device(name="cpu"), **choices)


def close(one, other, tolerance=1e-6):
    return all(torch.allclose(a, b, rtol=0, atol=tolerance) for a, b in zip(one.parameters(), other.parameters(), strict=True))


def join(group):
    return {word: torch.cat([batch[word] for batch in group]) for word in group[0]}


CLASSES = [{}, {"class_weights": [0.2, 1.0, 3.0]}, {"label_smoothing": 0.1}, {"loss": "focal"}, {"loss": "hinge"}]


@pytest.mark.parametrize("choices", [*CLASSES, {"loss": "focal", "class_weights": [0.2, 1.0, 3.0]}], ids=str)
def test_ragged_micro_batches_equal_the_large_batch(choices):
    one, other = (Classification(Net(network()), 3, **choices) for _ in range(2))
    few, whole = stepper(one), stepper(other)
    totals, total = {}, {}
    for seed in range(5):
        group = batches(8, 56, 32, seed=seed)
        few(group, totals)
        whole([join(group)], total)
    assert close(one, other)
    assert totals["loss"] == pytest.approx(total["loss"], rel=1e-6)


@pytest.mark.parametrize(
    "make",
    [lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9), lambda p: torch.optim.Adam(p, lr=0.01, fused=True)],
    ids=["sgd", "adam"],
)
def test_one_batch_steps_equal_a_hand_written_loop_bit_for_bit(make):
    task, model = Classification(Net(network()), 3), network()
    take, optimizer = stepper(task, make), make(model.parameters())
    for batch in batches(*[32] * 20):
        take([batch], {})
        optimizer.zero_grad()
        cross_entropy(model(batch["input"]), batch["target"]).backward()
        optimizer.step()
    for a, b in zip(task.parameters(), model.parameters(), strict=True):
        assert torch.equal(a, b)


def test_a_whole_training_equals_a_hand_written_loop_bit_for_bit():
    kept = Kept(
        IRIS, "data.batch_size=20", "schedule={name: constant}", "model.layers=[{dense: 8}, tanh, {dense: num_classes}]"
    )
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    for own, theirs in zip(model.parameters(), kept.built.task.parameters(), strict=True):
        own.data.copy_(theirs)
    optimizer = torch.optim.Adam(model.parameters(), lr=0.01, fused=True)
    rows = kept.built.source.data["train"]
    from dlx.data.order import permutation

    for epoch in range(3):
        order = permutation(0, epoch, 90)
        for start in range(0, 90, 20):
            chosen = order[start : start + 20]
            optimizer.zero_grad()
            cross_entropy(model(rows["input"][chosen]), rows["target"][chosen]).backward()
            optimizer.step()
    kept.fit()
    for a, b in zip(kept.built.task.parameters(), model.parameters(), strict=True):
        assert torch.equal(a, b)


class Pair(nn.Module):
    def __init__(self):
        super().__init__()
        torch.manual_seed(3)
        self.generator, self.discriminator = nn.Linear(2, 6), nn.Sequential(nn.Linear(6, 8), nn.ReLU(), nn.Linear(8, 1))

    def forward(self, input):
        return self.generator(input)


class Adversarial(Task):
    """A little GAN: noise that follows from the batch, two parts in turn."""

    ended = 0

    def losses(self, batch):
        real, noise = batch["input"], batch["input"][:, :2].cos()
        judge, make = self.model.discriminator, self.model.generator
        yield Loss(discriminator_loss(judge, real, make(noise).detach()), len(real), "discriminator", {"d": 2.0})
        yield Loss(generator_loss(judge, make(noise)), len(real), "generator")
        self.ended += 1


def discriminator_loss(judge, real, fake):
    return bce(judge(real), torch.ones(len(real), 1)) + bce(judge(fake), torch.zeros(len(fake), 1))


def generator_loss(judge, fake):
    return bce(judge(fake), torch.ones(len(fake), 1))


@pytest.mark.parametrize("sizes", [[16], [5, 11]])
def test_a_loss_of_two_parts_equals_a_hand_written_alternating_loop(sizes):
    task, pair, totals = Adversarial(Pair()), Pair(), {}

    def make(parameters):
        return torch.optim.Adam(parameters, lr=0.01)

    take = stepper(task, make, ("generator", "discriminator"))
    first, second = make(pair.discriminator.parameters()), make(pair.generator.parameters())
    for seed in range(50):
        group = batches(*sizes, seed=seed)
        take(group, totals)
        real = join(group)["input"]
        noise = real[:, :2].cos()
        first.zero_grad()
        discriminator_loss(pair.discriminator, real, pair.generator(noise).detach()).backward()
        first.step()
        second.zero_grad()
        generator_loss(pair.discriminator, pair.generator(noise)).backward()
        second.step()
    assert close(task, Adversarial(pair))
    assert task.ended == 50 * len(sizes), "what stands behind the last yield runs"
    assert totals["d"] == [1600.0, 800.0]
    assert set(totals) == {"loss/discriminator", "loss/generator", "d"}


def test_no_part_gets_the_gradients_of_another():
    task = Adversarial(Pair())
    take = stepper(task, parts=("generator", "discriminator"))
    take(batches(4), {})
    kept = [p.grad.clone() for p in task.model.discriminator.parameters()]
    streams = [task.losses(batches(4)[0])]
    next(streams[0])
    take.backward(streams, batches(4), {})  # the generator's loss
    assert all(torch.equal(a, p.grad) for a, p in zip(kept, task.model.discriminator.parameters(), strict=True))


def test_unknown_parts_and_streams_of_different_lengths_are_told():
    task = Adversarial(Pair())
    with pytest.raises(DlxError, match=r"descends the part 'discriminator', but the optimizers have \['generator'\]"):
        stepper(task, parts=("generator",))(batches(4), {})

    class Short(Adversarial):
        def losses(self, batch):
            for loss in super().losses(batch):
                yield loss
                if len(batch["input"]) < 4:
                    return

    with pytest.raises(DlxError, match="yield different numbers of losses"):
        stepper(Short(Pair()), parts=("generator", "discriminator"))(batches(4, 2), {})

    class Other(Adversarial):
        def losses(self, batch):
            order = ("generator", "discriminator") if len(batch["input"]) < 4 else ("discriminator", "generator")
            for part in order:
                yield Loss(getattr(self.model, part)(batch["input"][:, : 2 if part == "generator" else 6]).mean(), part=part)

    with pytest.raises(DlxError, match="of different parts: 'discriminator' and 'generator'"):
        stepper(Other(Pair()), parts=("generator", "discriminator"))(batches(4, 2), {})


def test_a_loss_that_reaches_no_parameter_is_told():
    class Stray(Task):
        other = nn.Linear(1, 1)

        def forward(self, batch):
            return Loss(self.other(batch["input"][:, :1]).mean())

    with pytest.raises(DlxError, match="the loss reaches none of the parameters it should train"):
        stepper(Stray(Net(network())))(batches(4), {})


class Explodes(torch.autograd.Function):
    """The identity, with a gradient that is not finite."""

    @staticmethod
    def forward(ctx, value):
        return value.clone()

    @staticmethod
    def backward(ctx, gradient):
        return gradient * math.nan


class Poisoned(Classification):
    """Gives a wrong number for sample 5."""

    kind = "loss"

    def forward(self, batch):
        loss = super().forward(batch)
        if 5 not in batch["index"]:
            return loss
        wrong = (
            Explodes.apply(loss.value)
            if self.kind == "gradient"
            else loss.value * {"loss": math.nan, "infinity": math.inf}[self.kind]
        )
        return Loss(wrong, loss.weight)


@pytest.mark.parametrize(
    ("kind", "said"), [("loss", "the loss is nan"), ("infinity", "the loss is inf"), ("gradient", "gradient")]
)
@pytest.mark.parametrize("sizes", [[6], [2, 4]])
def test_nothing_that_is_not_finite_is_applied(kind, said, sizes):
    task = Poisoned(Net(network()), 3)
    task.kind = kind
    before = [p.detach().clone() for p in task.parameters()]
    with pytest.raises(NonFiniteError, match=rf"{said}.*samples in the training split: 0, 1, 2, 3, 4, 5$"):
        stepper(task)(batches(*sizes), {})
    assert all(torch.equal(a, b) for a, b in zip(before, task.parameters(), strict=True))


@pytest.mark.parametrize("clip_norm", [None, 0.1])
@pytest.mark.parametrize("place", ["first", "last"])
def test_one_value_of_one_gradient_is_enough(place, clip_norm):
    task = Classification(Net(network()), 3)
    layer = task.model.body[0 if place == "first" else 2]
    layer.weight.register_hook(lambda gradient: gradient.index_fill(0, torch.tensor(1), math.inf))
    before = [p.detach().clone() for p in task.parameters()]
    with pytest.raises(NonFiniteError, match="the gradient of the loss is not finite"):
        stepper(task, clip_norm=clip_norm)(batches(6), {})
    assert all(torch.equal(a, b) for a, b in zip(before, task.parameters(), strict=True))


def test_gradients_are_clipped_to_the_norm_that_torch_finds():
    task, totals = Classification(Net(network()), 3), {}
    take = stepper(task, clip_norm=0.01)
    take(batches(12), totals)
    free = Classification(Net(network()), 3)
    free(batches(12)[0]).value.backward()
    norm = nn.utils.get_total_norm([p.grad for p in free.parameters()])
    assert totals["gradient_norm"][0] == pytest.approx(norm.item())
    assert nn.utils.get_total_norm([p.grad for p in task.parameters()]).item() == pytest.approx(0.01, rel=1e-3)


def test_a_norm_that_is_infinite_only_as_a_sum_stops_nothing():
    task = Classification(Net(network()), 3)
    task.model.body[0].weight.register_hook(lambda gradient: torch.full_like(gradient, 1e30))  # its square overflows
    stepper(task, clip_norm=1.0)(batches(6), totals := {})
    assert math.isinf(totals["gradient_norm"][0])


def test_bfloat16_trains_and_evaluates_on_the_cpu():
    kept = Kept(IRIS, "+device.precision=bfloat16", "~epochs", "+steps=3").fit()
    assert kept.built.device.precision == "bfloat16"
    assert all(p.dtype == torch.float32 for p in kept.built.task.parameters())
    assert math.isfinite(kept.lines.rows[-1]["val/loss"])
    plain = Kept(IRIS, "~epochs", "+steps=3").fit()
    assert kept.lines.rows[-1]["val/loss"] != plain.lines.rows[-1]["val/loss"], "half precision was in use"
