"""Schedules equal torch's own where torch has one."""

import pytest
import torch
from torch.optim import lr_scheduler

from dlx import registry
from dlx.assembly.experiment import prepare
from dlx.assembly.trainer import build_trainer
from dlx.config import spec
from dlx.errors import ComponentError, UsageError

STEPS, PER_EPOCH = 60, 10
FACTS = {"total_steps": STEPS, "steps_per_epoch": PER_EPOCH, "warmup_steps": 4, "seed": 0}


def make(name, **choices):
    return registry.schedules.build(name, choices, FACTS)


def rates(scheduler, optimizer, steps=STEPS):
    found = []
    for _ in range(steps):
        found.append(optimizer.param_groups[0]["lr"])
        optimizer.step()
        scheduler.step()
    return found


def optimizer(lr=0.5):
    return torch.optim.SGD([torch.zeros(1, requires_grad=True)], lr=lr)


PAIRS = {
    "cosine": (("cosine", {"minimum": 0.1}), lambda o: lr_scheduler.CosineAnnealingLR(o, STEPS, eta_min=0.05)),
    "linear": (("linear", {"minimum": 0.2}), lambda o: lr_scheduler.LinearLR(o, 1.0, 0.2, STEPS)),
    "step": (("step", {"every": 2, "gamma": 0.5}), lambda o: lr_scheduler.StepLR(o, 2 * PER_EPOCH, 0.5)),
    "at": (("step", {"at": [1, 4], "gamma": 0.5}), lambda o: lr_scheduler.MultiStepLR(o, [PER_EPOCH, 4 * PER_EPOCH], 0.5)),
    "exponential": (("exponential", {"gamma": 0.6}), lambda o: lr_scheduler.ExponentialLR(o, 0.6 ** (1 / PER_EPOCH))),
    "one_cycle": (("one_cycle", {}), lambda o: lr_scheduler.OneCycleLR(o, 0.5, STEPS, cycle_momentum=False)),
    "constant": (("constant", {}), lambda o: lr_scheduler.ConstantLR(o, 1.0)),
}


@pytest.mark.parametrize("name", PAIRS)
@pytest.mark.filterwarnings("ignore:Detected call of")
def test_a_schedule_equals_torch_s(name):
    (own, choices), theirs = PAIRS[name]
    schedule, descending = make(own, **choices), optimizer()
    scheduler = theirs(descending)
    assert [0.5 * schedule.factor(step) for step in range(STEPS)] == pytest.approx(
        rates(scheduler, descending, STEPS), rel=1e-6
    )


@pytest.mark.parametrize("patience", [1, 2, 3])
def test_plateau_equals_torch_s_which_counts_one_evaluation_more(patience):
    values = [0.3, 0.5, 0.5, 0.4, 0.6, 0.1, 0.2, 0.3, 0.4, 0.5, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7, 0.7]
    own, descending, best = make("plateau", patience=patience, gamma=0.5), optimizer(), 0.0
    theirs = lr_scheduler.ReduceLROnPlateau(descending, "max", 0.5, patience - 1, threshold=0.0)
    for step, value in enumerate(values):
        own.observe(value, value > best)
        best = max(best, value)
        theirs.step(value)
        assert 0.5 * own.factor(step) == pytest.approx(descending.param_groups[0]["lr"])
    again = make("plateau", patience=patience, gamma=0.5)
    again.load_state_dict(own.state_dict())
    assert (again.now, again.waited) == (own.now, own.waited)


def test_plateau_has_a_floor():
    schedule = make("plateau", patience=1, gamma=0.1, minimum=0.05)
    for _ in range(5):
        schedule.observe(0.0, False)
    assert schedule.factor(9) == 0.05


def built(schedule, **others):
    text = f"task: classification\ndata: {{name: iris, batch_size: 9}}\nmodel: mlp\nschedule: {schedule}\n"
    choices = "".join(f"{key}: {value}\n" for key, value in {"steps": STEPS, **others}.items())
    trainer = build_trainer(prepare(spec.parse(text + choices, "x.yaml")))
    return trainer.schedules[""]


@pytest.mark.parametrize("warmup", [12, 0.2])
@pytest.mark.filterwarnings("ignore:Detected call of", "ignore:The epoch parameter")
def test_warm_up_equals_torch_s(warmup):
    own, descending = built(f"{{name: cosine, warmup: {warmup}}}"), optimizer()
    rise = lr_scheduler.LinearLR(descending, 1 / 13, 1.0, 12)
    fall = lr_scheduler.CosineAnnealingLR(descending, STEPS - 12)
    both = lr_scheduler.SequentialLR(descending, [rise, fall], [12])
    assert [0.5 * own.factor(step) for step in range(STEPS)] == pytest.approx(rates(both, descending), rel=1e-6, abs=1e-12)


@pytest.mark.parametrize("warmup", [1, 12, 0.25])
def test_the_inverse_square_root_is_the_formula_of_its_paper(warmup):
    own = built(f"{{name: inverse_square_root, warmup: {warmup}}}")
    peak = {1: 2, 12: 13, 0.25: 16}[warmup]
    theirs = [min(n**-0.5, n * peak**-1.5) / peak**-0.5 for n in range(1, STEPS + 1)]
    assert [own.factor(step) for step in range(STEPS)] == pytest.approx(theirs, rel=1e-12)
    assert own.factor(peak - 1) == 1


@pytest.mark.parametrize("warmup", ["", ", warmup: 0", ", warmup: 0.001"])
def test_the_inverse_square_root_wants_a_warm_up(warmup):
    with pytest.raises(UsageError, match=r"schedule\.warmup: wants a warm-up of a step at least"):
        built(f"{{name: inverse_square_root{warmup}}}")


@pytest.mark.parametrize("name", registry.schedules.names())
def test_every_schedule_gives_shares_of_the_rate_and_keeps_its_state(name):
    choices = {"step": {"every": 1}, "exponential": {"gamma": 0.9}}.get(name, {})
    schedule, again = make(name, **choices), make(name, **choices)
    for step in range(STEPS + 5):
        assert 0 <= schedule.factor(step) <= 1
        schedule.observe(1.0, step % 7 == 0)
    again.load_state_dict(schedule.state_dict())
    assert [again.factor(step) for step in range(STEPS)] == [schedule.factor(step) for step in range(STEPS)]


@pytest.mark.parametrize("choices", [{}, {"every": 1, "at": [2]}])
def test_step_wants_one_of_every_and_at(choices):
    with pytest.raises(ComponentError, match=r"give either 'every' .* or 'at'"):
        make("step", **choices)
