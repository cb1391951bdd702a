"""Steps taken in one compiled call do what steps as written do, and which ones are compiled follows from the batches alone."""

import math

import pytest
import torch
import torch.nn.functional as F
from tests.helpers.training import IRIS, Kept, differing
from torch import nn

from dlx.core import Loss, Task
from dlx.engine.compiling import choice, library
from dlx.engine.compiling.recording import operations
from dlx.engine.compiling.stepper import CompiledStepper
from dlx.engine.device import Device
from dlx.engine.ema import MovingAverage
from dlx.engine.step import NonFiniteError, Stepper
from dlx.layers.dropout import Dropout
from dlx.tasks.classification import Classification

needs_compiler = pytest.mark.skipif(library.compiler() is None, reason="no C++ compiler")
RULES = {
    "sgd": lambda p: torch.optim.SGD(p, lr=0.1, weight_decay=0.01),
    "momentum": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, dampening=0.1),
    "nesterov": lambda p: torch.optim.SGD(p, lr=0.05, momentum=0.9, nesterov=True),
    "adam": lambda p: torch.optim.Adam(p, lr=0.01, weight_decay=0.01, fused=True),
    "amsgrad": lambda p: torch.optim.Adam(p, lr=0.01, amsgrad=True, fused=True),
    "adamw": lambda p: torch.optim.AdamW(p, lr=0.01, weight_decay=0.1, betas=(0.8, 0.95), fused=True),
    "adagrad": lambda p: torch.optim.Adagrad(p, lr=0.05, lr_decay=0.01, fused=True),
    "rmsprop": lambda p: torch.optim.RMSprop(p, lr=0.01, momentum=0.5, centered=True),
    "rmsprop_plain": lambda p: torch.optim.RMSprop(p, lr=0.01, weight_decay=0.01),
    "groups": lambda p: torch.optim.AdamW(grouped(list(p)), lr=0.01, fused=True),
}


def grouped(parameters):
    return [{"params": parameters[::2], "lr": 0.02, "weight_decay": 0.0}, {"params": parameters[1::2]}]


def network():
    torch.manual_seed(1)
    return nn.Sequential(nn.Linear(6, 16, bias=False), nn.BatchNorm1d(16), nn.Tanh(), Dropout(0.3), nn.Linear(16, 3))


def batch(step, size=8):
    generator = torch.Generator().manual_seed(step)
    words = {"input": torch.randn(size, 6, generator=generator), "target": torch.randint(3, (size,), generator=generator)}
    return words | {"index": torch.arange(size)}


def interpreted(function, example, tell):
    """Stand for the compiler: record the function, and run what was recorded."""
    graph = library.traced(function, example)
    return lambda tensors: [graph(*tensors)]


def plain(make=RULES["adamw"], clip_norm=None, decay=None, model=None, precision="float32"):
    task = Classification(model or network(), 3)
    task.train()
    average = MovingAverage(task, decay) if decay else None
    return Stepper(task, {"": make(task.model.parameters())}, Device(name="cpu", precision=precision), clip_norm, average)


def state(stepper):
    kept = [value for some in stepper.optimizers[""].state.values() for value in some.values()]
    averages = list(stepper.average.average.values()) if stepper.average else []
    return [*stepper.task.parameters(), *stepper.task.buffers(), *kept, *averages]


def assert_same(one, other, tolerance=1e-6):
    for a, b in zip(state(one), state(other), strict=True):
        torch.testing.assert_close(a, b, rtol=tolerance, atol=tolerance)


def both(make, batches=1, told=None, **choices):
    written, beside = plain(make, **choices), plain(make, **choices)
    return written, CompiledStepper(beside, (batches, 8), (told if told is not None else []).append)


def train(stepper, steps, batches=1, totals=None, ragged=()):
    torch.manual_seed(5)
    totals = {} if totals is None else totals
    for step in range(steps):
        stepper.optimizers[""].param_groups[0]["lr"] *= 0.99  # as a schedule does
        stepper([batch(step * batches + k, 5 if step in ragged else 8) for k in range(batches)], totals)
    return totals


class Asks(nn.Module):
    """Looks at its input's values in Python."""

    def __init__(self):
        super().__init__()
        self.body = nn.Linear(6, 3)

    def forward(self, input):
        return self.body(input) * (2 if input.sum() > 0 else 1)


class Pushed(Task):
    """A loss whose gradient the data give, so that nothing is enlarged on the way."""

    def __init__(self):
        super().__init__(Asks())
        self.a, self.b = nn.Parameter(torch.ones(6)), nn.Parameter(torch.ones(6))

    def forward(self, batch):
        return Loss((batch["input"].mean(0) * self.a).sum() + (batch["input"].square().mean(0) * self.b).sum(), 8)


@pytest.mark.parametrize("name", RULES)
def test_fifty_steps_of_every_rule_equal_those_of_torch(name, monkeypatch):
    monkeypatch.setattr(library, "compiled", interpreted)
    ends = []
    for make in (lambda plain: plain, lambda plain: CompiledStepper(plain, (1, 8), pytest.fail)):
        task = Pushed()
        stepper = make(Stepper(task, {"": RULES[name]([task.a, task.b])}, Device(name="cpu")))
        train(stepper, 50)
        kept = [value for some in stepper.optimizers[""].state.values() for value in some.values()]
        ends.append([task.a, task.b, *kept])
    assert stepper.run is not None
    for one, other in zip(*ends, strict=True):
        torch.testing.assert_close(one, other, rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("batches", [1, 3])
def test_clipping_average_accumulation_and_ragged_batches_are_the_same(batches, monkeypatch):
    monkeypatch.setattr(library, "compiled", interpreted)
    written, compiled = both(RULES["adamw"], batches, clip_norm=0.5, decay=0.9)
    one, other = train(written, 20, batches, ragged=(4, 9)), train(compiled, 20, batches, ragged=(4, 9))
    assert_same(written, compiled)
    assert one.keys() == other.keys() == {"loss", "gradient_norm"}
    assert all(one[name] == pytest.approx(other[name], rel=1e-5) for name in one)
    assert compiled.average.updates == 20


def test_bfloat16_is_used_where_steps_as_written_use_it(monkeypatch):
    monkeypatch.setattr(library, "compiled", interpreted)
    written, compiled = both(RULES["sgd"], precision="bfloat16")
    train(written, 10)
    train(compiled, 10)
    assert compiled.run is not None
    assert_same(written, compiled)
    in_float32 = plain(RULES["sgd"])
    train(in_float32, 10)
    assert not torch.allclose(next(in_float32.task.parameters()), next(compiled.task.parameters()), rtol=1e-5, atol=1e-6)


@needs_compiler
def test_compiled_steps_equal_those_as_written_with_the_same_random_numbers(tmp_path, monkeypatch):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    told = []
    written, compiled = both(RULES["adamw"], 2, told, clip_norm=0.5, decay=0.9)
    train(written, 12, 2, ragged=(4,))
    drawn = torch.get_rng_state()
    train(compiled, 12, 2, ragged=(4,))
    assert torch.equal(drawn, torch.get_rng_state())
    assert_same(written, compiled)
    assert len(told) == 1
    assert "kept in" in told[0]
    again = both(RULES["adamw"], 2, told, clip_norm=0.5, decay=0.9)[1]
    train(again, 12, 2, ragged=(4,))
    assert len(told) == 1, "the second one comes from the cache"
    assert all(torch.equal(a, b) for a, b in zip(state(compiled), state(again), strict=True))


def test_what_is_not_finite_is_told_and_written_nowhere(monkeypatch):
    monkeypatch.setattr(library, "compiled", interpreted)
    _, compiled = both(RULES["adamw"], decay=0.9)
    train(compiled, 3)
    assert compiled.run is not None
    before = [
        tensor.clone() for tensor in (*compiled.task.parameters(), *compiled.optimizers[""].state_dict()["state"][0].values())
    ]
    bad = batch(7)
    bad["input"][2, 1] = float("nan")
    with pytest.raises(
        NonFiniteError, match=r"the loss is nan; the step's samples in the training split: 0, 1, 2, 3, 4, 5, 6, 7"
    ):
        compiled([bad], {})
    after = [*compiled.task.parameters(), *compiled.optimizers[""].state_dict()["state"][0].values()]
    assert all(torch.equal(a, b) for a, b in zip(before, after, strict=True))


class Unreached(nn.Module):
    def __init__(self):
        super().__init__()
        self.body, self.idle = nn.Linear(6, 3), nn.Linear(2, 2)

    def forward(self, input):
        return self.body(input)


@pytest.mark.parametrize(
    ("model", "make", "reason"),
    [
        (Asks, RULES["sgd"], "data-dependent"),
        (Unreached, RULES["sgd"], "does not reach the parameter 'model.idle.weight'"),
        (network, lambda p: torch.optim.NAdam(p, lr=0.01), "the optimizer NAdam is not among those"),
    ],
)
def test_what_cannot_be_compiled_is_said_once_and_runs_as_written(model, make, reason, monkeypatch):
    monkeypatch.setattr(library, "_make", lambda *given: pytest.fail("nothing is to be compiled"))
    written, told = plain(make, model=model()), []
    torch.manual_seed(1)
    compiled = CompiledStepper(plain(make, model=model()), (1, 8), told.append)
    compiled.task.load_state_dict(written.task.state_dict())
    train(written, 4)
    train(compiled, 4)
    assert len(told) == 1
    assert told[0].startswith("steps are not compiled: ")
    assert reason in told[0].lower() or reason in told[0]
    assert all(torch.equal(a, b) for a, b in zip(state(written), state(compiled), strict=True))


@pytest.mark.parametrize("way", [[], ["+trainer.ema=0.8", "+trainer.accumulate=2", "+trainer.clip_norm=0.5"]])
def test_compiled_training_resumes_exactly(way, monkeypatch):
    monkeypatch.setattr(library, "compiled", interpreted)
    given = (IRIS, *way, "+device.compile=true", "+trainer.save_every=4")
    alone = Kept(*given).fit()
    assert alone.trainer.stepper.run is not None
    for step in range(0, alone.trainer.step, 3):
        assert differing(alone, Kept(*given).go_on_from(Kept(*given).interrupt(step)).fit()) == [], f"interrupted at {step}"


def test_a_run_that_is_resumed_keeps_to_what_it_chose_though_it_be_of_another_length(monkeypatch):
    monkeypatch.setattr(library, "compiled", interpreted)
    monkeypatch.setattr(choice, "pays", lambda task, steps, device: steps > 20)
    always, never = (Kept(IRIS, f"+device.compile={word}", "epochs=3").fit() for word in ("true", "false"))
    for epochs, same in ((9, always), (2, never)):
        begun = Kept(IRIS, f"epochs={epochs}").interrupt(6)
        ended = Kept(IRIS, "epochs=3").go_on_from(begun).fit()
        assert ended.trainer.stepper.compiles is same.trainer.stepper.compiles
        assert [name for name in differing(ended, same) if name.endswith(".safetensors")] == []


def test_auto_compiles_where_steps_win_back_what_compiling_costs():
    task, device = plain().task, Device(name="cpu")
    assert choice.parts(task) == 5 + 5  # layers, parameters
    enough = math.ceil((choice.COST + 10 * choice.COST_OF_PART) / (10 * choice.SAVED))
    assert choice.pays(task, enough + 1, device) == (library.compiler() is not None)
    assert not choice.pays(task, enough - 1, device)


def test_without_a_compiler_auto_changes_nothing_and_true_says_why(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(library, "compiler", lambda: None)
    assert not choice.pays(plain().task, 10**9, Device(name="cpu"))
    told = []
    train(both(RULES["sgd"], told=told)[1], 3)
    assert told == ["steps are not compiled: there is no C++ compiler (g++, clang++, c++)"]


def test_a_damaged_package_is_told_deleted_and_runs_as_written(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setattr(library, "digest", lambda *given: "damaged")
    (library.folder() / "damaged.pt2").write_bytes(b"no package")
    written, told = plain(RULES["sgd"]), []
    compiled = both(RULES["sgd"], told=told)[1]
    train(written, 3)
    train(compiled, 3)
    assert len(told) == 1
    assert told[0].startswith("steps are not compiled: ")
    assert list(library.folder().iterdir()) == []
    assert all(torch.equal(a, b) for a, b in zip(state(written), state(compiled), strict=True))


def test_a_folder_that_others_may_write_to_is_not_used(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    (tmp_path / "dlx").mkdir()
    (tmp_path / "dlx" / "compiled").mkdir(mode=0o700)
    (tmp_path / "dlx" / "compiled").chmod(0o777)
    told = []
    train(both(RULES["sgd"], told=told)[1], 3)
    assert "is no folder that its owner alone may write to" in told[0]


def test_operations_are_named_by_what_they_do_and_to_what(monkeypatch):
    def named(function):
        return operations(function, [torch.ones(2, 3), torch.zeros(2, 3), torch.tensor([1.0, 2.0, 3.0])])

    state = torch.get_rng_state()
    same = {named(lambda a, b, c: torch.cat([a * 2 + b, F.dropout(a)]) * c) for _ in range(2)}
    assert len(same) == 1
    others = [
        lambda a, b, c: torch.cat([a * 2.5 + b, F.dropout(a)]) * c,  # another number
        lambda a, b, c: torch.cat([b * 2 + a, F.dropout(a)]) * c,  # another tensor
        lambda a, b, c: torch.cat([a * 2 + b, F.dropout(b)]) * c,
        lambda a, b, c: torch.cat([a * 2 - b, F.dropout(a)]) * c,  # another operation
        lambda a, b, c: torch.cat([F.dropout(a), a * 2 + b]) * c,  # another order
        lambda a, b, c: (torch.cat([a * 2 + b, F.dropout(a)]) * c, a)[1],  # another answer
    ]
    assert len(same | {named(other) for other in others}) == 1 + len(others)
    held = [torch.tensor([1.0, 2.0, 3.0]), torch.tensor([1.0, 2.0, 4.0])]  # neither given nor made
    assert len({named(lambda a, b, c, own=own: a * own) for own in held}) == 2
    assert torch.equal(state, torch.get_rng_state())


def test_naming_a_step_changes_nothing():
    stepper = CompiledStepper(plain(decay=0.9), (1, 8), print)
    train(stepper, 1)  # as written: Adam makes what it keeps
    step = stepper.whole_step([batch(1)])
    given = [*step.held(), torch.tensor(step.numbers()), *batch(1).values()]
    before = [one.clone() for one in given]
    assert operations(step, given) == operations(step, given)
    assert all(torch.equal(a, b) for a, b in zip(before, given, strict=True))
