"""`dlx check`: an experiment tried in small: one step, every metric, a checkpoint, a table of layers."""

from __future__ import annotations

import itertools
import time
from collections.abc import Iterator
from typing import Any

from dlx.config import shipped, spec
from dlx.errors import DlxError
from dlx.storage import checkpoint, scratch

TIMED_STEPS = 10


def check(config: str, overrides: list[str]) -> str:
    """Try an experiment and give a report; raises what training would raise."""
    described = spec.load(shipped.located(config), overrides)
    from dlx.assembly import experiment
    from dlx.assembly.trainer import build_trainer
    from dlx.commands import describing

    built = experiment.prepare(described)
    trainer = build_trainer(built)
    rows = layers(built)
    with described.telling():
        trainer.rehearse()
    seconds = time_steps(trainer) if trainer.total_steps else 0.0
    found = trainer.validate(2) if "val" in built.source.splits() else None
    size = _checkpoint(built, trainer)
    model = built.task.model
    parameters = sum(p.numel() for p in model.parameters())
    trainable = sum(p.numel() for p in model.parameters() if p.requires_grad)
    lines = [*table(rows), "", f"parameters      {parameters:,} ({trainable:,} trained)"]
    lines.append(f"training memory {_bytes(_memory(built, trainer, rows))} for a batch, besides the data and PyTorch itself")
    lines.append(f"device          {built.device.describe()}")
    if trainer.total_steps:
        epoch = trainer.steps_per_epoch
        per_epoch = f", {written_time(epoch * seconds)} an epoch of {epoch:,}" if epoch else ""
        lines.append(
            f"training time   {seconds * 1000:.3g} ms a step{per_epoch}, {written_time(seconds * trainer.total_steps)} in all"
        )
    if (frames := built.source.frames_per_batch) and trainer.total_steps:
        in_all = frames * trainer.total_steps * trainer.options.accumulate
        lines.append(f"environment     {frames:.4g} frames a batch, about {in_all:,.0f} in all")
    lines.append(f"checkpoint      {_bytes(size)}, written and read back")
    if found:
        lines.append("metrics         " + ", ".join(f"val/{name}" for name in found.scalars))
    if columns := describing.inputs(built.source.processor):
        lines += ["", *columns]
    return "\n".join([*lines, f"{config}: all is well"])


def layers(built: Any) -> list[tuple[str, str, str, int, int]]:
    """Run one batch and note every innermost module: name, kind, output shape, parameters, output bytes."""
    import torch

    from dlx.core import to_device
    from dlx.engine.evaluator import evaluating

    rows: list[tuple[str, str, str, int, int]] = []
    leaves = [(n, m) for n, m in built.task.model.named_modules() if not any(m.children())]

    def note(name: str, module: Any) -> Any:
        def hook(_: Any, __: Any, output: Any) -> None:
            tensors = [t for t in (output if isinstance(output, tuple) else (output,)) if isinstance(t, torch.Tensor)]
            if tensors and name not in [row[0] for row in rows]:  # a module that runs twice is one line
                shape = " ".join(map(str, tensors[0].shape[1:]))
                parameters = sum(p.numel() for p in module.parameters())
                rows.append((name, type(module).__name__, shape, parameters, sum(t.nbytes for t in tensors)))

        return module.register_forward_hook(hook)

    hooks = [note(name, module) for name, module in leaves]
    if (batch := built.source.example()) is None:
        return rows
    with evaluating(built.task, built.device, built.seed), built.device.autocast():
        built.task.verify(to_device(batch, built.device.device))
    for hook in hooks:
        hook.remove()
    return rows


def table(rows: list[tuple[str, str, str, int, int]]) -> Iterator[str]:
    """Write the layers as columns."""
    cells = [("layer", "kind", "output shape", "parameters")] + [(r[0], r[1], r[2], f"{r[3]:,}") for r in rows]
    widths = [max(len(row[i]) for row in cells) for i in range(4)]
    for number, row in enumerate(cells):
        yield f"{row[0]:<{widths[0]}}  {row[1]:<{widths[1]}}  {row[2]:<{widths[2]}}  {row[3]:>{widths[3]}}".rstrip()
        if number == 0:
            yield "  ".join("-" * width for width in widths)


def time_steps(trainer: Any, count: int = TIMED_STEPS) -> float:
    """Take some steps, wherever epochs end, and return the median seconds of one."""
    trainer.task.train()
    times = []
    for group in itertools.islice(trainer.groups(), count):
        begun = time.perf_counter()
        trainer.set_learning_rates()
        trainer.descend(group)
        times.append(time.perf_counter() - begun)
    return sorted(times)[len(times) // 2]


def _checkpoint(built: Any, trainer: Any) -> int:
    """Write a checkpoint, read it back into the trainer, and give its bytes."""
    from dlx.config import yaml_reader
    from dlx.engine import saver

    config = yaml_reader.dump(built.plan.resolved())
    facts = built.facts
    files = saver.pack(trainer, config, facts, built.source.processor)
    with scratch.folder() as folder:
        kept = checkpoint.read(checkpoint.write(folder / checkpoint.step_name(trainer.step), files))
    saver.unpack(trainer, kept)
    again = saver.pack(trainer, config, facts, built.source.processor)
    if changed := [name for name in files if files[name] != again[name]]:
        raise DlxError(f"a checkpoint does not hold the whole state: {', '.join(changed)} differ after reading it back")
    return sum(map(len, files.values()))


def _memory(built: Any, trainer: Any, rows: list[tuple[str, str, str, int, int]]) -> int:
    import torch

    weights = sum(p.nbytes for p in built.task.model.parameters())
    gradients = sum(p.nbytes for p in built.task.model.parameters() if p.requires_grad)
    states = [v for o in trainer.optimizers.values() for s in o.state.values() for v in s.values()]
    return weights + gradients + sum(v.nbytes for v in states if isinstance(v, torch.Tensor)) + 2 * sum(row[4] for row in rows)


def _bytes(count: float) -> str:
    for unit in ("B", "kB", "MB", "GB"):
        if count < 1000 or unit == "GB":
            return f"{count:.3g} {unit}" if unit != "B" else f"{int(count)} B"
        count /= 1000
    raise AssertionError


def written_time(seconds: float) -> str:
    """Write a time as people say it."""
    if seconds < 90:
        return f"{seconds:.2g} s"
    return f"{seconds / 60:.0f} min" if seconds < 5400 else f"{seconds / 3600:.1f} h"
