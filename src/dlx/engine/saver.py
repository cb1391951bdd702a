"""The state of a trainer to checkpoints of a run, and back."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from torch import Tensor

from dlx.core import Processor
from dlx.engine.trainer import Trainer
from dlx.errors import DlxError
from dlx.storage import checkpoint, seal, snapshot
from dlx.storage.failures import is_memory, reason


def pack(
    trainer: Trainer, config: str, facts: Mapping[str, Any], processor: Processor | None, *, resumable: bool = True
) -> dict[str, bytes]:
    """Write all that resuming, evaluating and predicting need as a checkpoint's files.

    model.safetensors holds the weights that evaluations used; with a moving average those under training are in
    training.safetensors. What the source holds as tensors is in source.safetensors, unless the checkpoint need not be
    `resumable`, which its state tells.
    """
    optimizer, values = snapshot.pack_optimizers(trainer.optimizers, _names(trainer))
    weights = trainer.task.state_dict()
    files = {"optimizer.safetensors": snapshot.pack_tensors(optimizer)}
    if trainer.average:
        files["training.safetensors"] = snapshot.pack_tensors(weights)
        with trainer.average.applied():  # by the module's own hand, so that a tied parameter's second name follows
            model = snapshot.pack_tensors(weights)
    else:
        model = snapshot.pack_tensors(weights)
    random = snapshot.pack_random(trainer.device.random_state())
    state = {**trainer.state_dict(), "optimizer": values, "random": random}
    if trainer.source.keeps_tensors:
        held = {name: value for name, value in state["source"].items() if isinstance(value, Tensor)}
        state["source"] = {name: value for name, value in state["source"].items() if name not in held}
        state["resumable"] = resumable
        if resumable:
            files["source.safetensors"] = snapshot.pack_tensors(held)
    kept = {"name": processor.name, "state": processor.state_dict()} if processor else None
    return {
        "model.safetensors": model,
        **files,
        "state.json": snapshot.pack_json(state),
        "config.yaml": config.encode(),
        "facts.json": snapshot.pack_json(dict(facts)),
        "processor.json": snapshot.pack_json(kept),
    }


# What a state that is not the experiment's own makes of components that trust it.
UNFIT = (KeyError, TypeError, ValueError, AttributeError, IndexError, RuntimeError)


def unpack(trainer: Trainer, files: Mapping[str, bytes]) -> None:
    """Return a trainer to the state of a checkpoint; raises DlxError where it is not this experiment's."""
    try:
        _unpack(trainer, files)
    except UNFIT as error:
        if is_memory(error):
            raise
        raise DlxError(f"the checkpoint's state is not this experiment's: {type(error).__name__}: {reason(error)}") from error


def _unpack(trainer: Trainer, files: Mapping[str, bytes]) -> None:
    state = json.loads(files["state.json"])
    weights = snapshot.unpack_tensors(files["model.safetensors"])
    if trainer.average:
        if "training.safetensors" not in files:
            raise DlxError("the checkpoint lacks training.safetensors, the weights beside their moving average")
        snapshot.refuse_unfit(trainer.task, weights)
        trainer.average.load(weights)
        weights = snapshot.unpack_tensors(files["training.safetensors"])
    snapshot.load_module(trainer.task, weights)
    tensors = snapshot.unpack_tensors(files["optimizer.safetensors"])
    snapshot.unpack_optimizers(trainer.optimizers, _names(trainer), tensors, state["optimizer"])
    if "source.safetensors" in files:
        state["source"] |= snapshot.unpack_tensors(files["source.safetensors"])
    trainer.load_state_dict(state)
    trainer.device.set_random_state(snapshot.unpack_random(state["random"]))


def _names(trainer: Trainer) -> dict[Tensor, str]:
    return {parameter: name for name, parameter in trainer.task.named_parameters()}


class Saver:
    """Saves a trainer's checkpoints in a folder, and keeps the best one and the newest few; `config` is YAML."""

    def __init__(self, folder: Path, config: str, facts: Mapping[str, Any], processor: Processor | None, keep: int) -> None:
        self.folder, self.config, self.facts, self.processor, self.keep = folder, config, facts, processor, keep
        self.seal = seal.seal(self.config.encode()) or b""

    def snapshot(self, trainer: Trainer, *, resumable: bool) -> tuple[str, dict[str, bytes]]:
        """Return the present state as the name and the files of a checkpoint, in memory."""
        files = pack(trainer, self.config, self.facts, self.processor, resumable=resumable)
        return checkpoint.step_name(trainer.step), {**files, "seal": self.seal}

    def save(self, trainer: Trainer, states: list[tuple[str, dict[str, bytes]]]) -> None:
        """Save states, point `last` and `best` at them, and remove what is no longer kept."""
        best = checkpoint.step_name(trainer.best["step"]) if trainer.best else ""
        for name, files in states:
            target = checkpoint.write(self.folder / name, files)
            checkpoint.point(self.folder, "last", target)
            if name == best:
                checkpoint.point(self.folder, "best", target)
        self.prune(best)

    def prune(self, best: str) -> None:
        """Remove all checkpoints but the best and the newest few."""
        for old in checkpoint.steps(self.folder)[self.keep :]:
            if old.name != best:
                checkpoint.remove(old)

    def return_to(self, trainer: Trainer, resumed: Path) -> None:
        """Make the folder agree with the checkpoint that training goes on from."""
        newest_first = checkpoint.steps(self.folder)
        for newer in newest_first[: newest_first.index(resumed)]:
            checkpoint.remove(newer)
        checkpoint.point(self.folder, "last", resumed)
        best = checkpoint.step_name(trainer.best["step"]) if trainer.best else ""
        if best and (self.folder / best).is_dir():
            checkpoint.point(self.folder, "best", self.folder / best)
        self.prune(best)  # the process may have been killed before it did
