"""Whether the steps of a training are compiled: by the config and the machine's description alone, never by a clock."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from dlx.core import Source, Thawing
from dlx.engine.compiling import library
from dlx.engine.compiling.stepper import CompiledStepper
from dlx.engine.device import Device
from dlx.engine.step import Stepper

# Seconds, counting every layer and every tensor of parameters as a part; benchmarks/compile_cost.py measures them.
COST, COST_OF_PART = 20.0, 0.5  # of compiling a step, once for each experiment
SAVED = 10e-6  # by every part at every step: what torch takes to look operations up
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
    if not task.recordable:
        return "what the task descends may differ from step to step"
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
    count = parts(task)
    return steps * count * SAVED >= COST + count * COST_OF_PART


def parts(task: nn.Module) -> int:
    """Count the layers and the tensors of parameters."""
    return sum(not list(module.children()) for module in task.modules()) + len(list(task.parameters()))
