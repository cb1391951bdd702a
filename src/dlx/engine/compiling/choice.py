"""Whether the steps of a training are compiled: by the config and the machine's description alone, never by a clock."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from dlx.core import Source, Thawing
from dlx.engine.compiling import library
from dlx.engine.compiling.stepper import CompiledStepper
from dlx.engine.device import Device
from dlx.engine.step import Stepper

COST = 60.0  # seconds that compiling takes, once for each experiment
SAVED = 10e-6  # seconds that a step saves for every layer and every parameter's tensor: what torch takes to look them up
DEVICES = ("cpu", "cuda")
MOST_BATCHES = 8  # micro-batches of a step, each of which is compiled


def compiled(plain: Stepper, source: Source, accumulate: int, steps: int, tell: Callable[[str], None]) -> Stepper:
    """Return what takes steps in compiled calls, where the config asks for it or it pays; else what takes them as written.

    A run that is resumed keeps to what it chose when it began, whatever its length is now.
    """
    asked, before = plain.device.compile, plain.compiles
    plain.compiles = False
    wanted = asked if asked != "auto" else pays(plain.task, steps, plain.device) if before is None else before
    if not wanted:
        return plain
    if why := obstacle(plain, source, accumulate):
        if asked is True:
            tell(f"steps are not compiled: {why}")
        return plain
    return CompiledStepper(plain, (accumulate, source.batch_sizes[0]), tell)


def obstacle(plain: Stepper, source: Source, accumulate: int) -> str:
    """Say what keeps the steps of a training from being compiled; "" where nothing is known to."""
    task = plain.task
    if task.parts or not task.has_one_loss():
        return "the task descends several losses at a step"
    if not source.same_shapes or not source.batch_sizes:
        return "the data does not promise batches of one shape"
    if plain.device.device.type not in DEVICES:
        return f"steps are compiled on {' and '.join(DEVICES)} only"
    if isinstance(task.model, Thawing):
        return "the model thaws on the way"
    if accumulate > MOST_BATCHES:
        return f"a step of more than {MOST_BATCHES} batches would take too long to compile"
    if not plain.optimizers:
        return "nothing is trained"
    return ""


def pays(task: nn.Module, steps: int, device: Device) -> bool:
    """Tell whether so many steps win back what compiling costs: `device.compile: auto`."""
    if device.device.type != "cpu" or library.compiler() is None:
        return False
    layers = sum(not list(module.children()) for module in task.modules())
    return steps * (layers + len(list(task.parameters()))) * SAVED >= COST
