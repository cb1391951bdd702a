"""Which checkpoint a user means by a run, RUN/best, RUN/last or a checkpoint.

What is best is read from the state of the newest valid checkpoint. Links `best` and `last` are a convenience of people and
of shells: after `cp -rL`, `scp -r`, a zip file or an object store they are folders, or missing.
"""

from __future__ import annotations

import logging
from contextlib import suppress
from pathlib import Path

from dlx.errors import UsageError, nearest
from dlx.storage import checkpoint, contents
from dlx.storage.checkpoint import POINTERS
from dlx.storage.manifest import CheckpointError

log = logging.getLogger("dlx")


def locate(path: str) -> Path:
    """Find the checkpoint that a user means by a run, RUN/best, RUN/last or a checkpoint; runs may be named without runs/.

    A run stands for its best checkpoint, else its last. Raises UsageError with the nearest run's name if there is none.
    """
    for place in (Path(path), Path("runs", path)):
        if found := _checkpoint_at(place):
            return found
    if Path(path).is_file():
        raise UsageError(f"{path} is a file, not a run or a checkpoint")
    typed = Path(path).parent if Path(path).name in POINTERS else Path(path)
    known = {folder.parent.name: folder.parent for top in {typed.parent, Path("runs")} for folder in top.glob("*/checkpoints")}
    near = " or ".join(f"'{known[name]}'" for name in nearest(typed.name, known))
    raise UsageError(f"{path}: no run or checkpoint is there" + (f"; did you mean {near}?" if near else ""))


def _checkpoint_at(place: Path) -> Path | None:
    wanted = place.name if place.name in POINTERS and not (place / "checkpoints").is_dir() else ""
    run = place.parent if wanted else place
    folder = run if run.absolute().name == "checkpoints" else run / "checkpoints"
    is_checkpoint = place.is_dir() and (checkpoint.STEP.fullmatch(place.name) or (place / checkpoint.MANIFEST).exists())
    if is_checkpoint and not (wanted and folder.is_dir()):
        return place
    return chosen(folder, wanted) if folder.is_dir() else None


def chosen(folder: Path, wanted: str) -> Path:
    """Find the `best` or the `last` checkpoint in a run's folder of them, or the best, else the last, of "".

    Raises UsageError where there is none, and CheckpointError where none can be read.
    """
    if folder.is_symlink():
        log.warning("%s is a link; it is read, but nothing is written through it", folder)
    for _ in range(checkpoint.TRIES):
        newest, complaints = checkpoint.newest_valid(folder)
        if newest is None:
            raise UsageError(f"run {folder.parent} has no {wanted + ' checkpoint' if wanted else 'checkpoint yet'}")
        step, found = _wanted(newest, wanted)
        if found is not None:  # else the process that trains may just have put a better one in its place
            break
    for complaint in complaints:
        log.warning("passed over: %s", complaint)
    if found is None:
        told = "has no best checkpoint" if step is None else f"lacks its best checkpoint, that of step {step}"
        raise UsageError(f"run {folder.parent} {told}; the last one is {folder.parent / 'last'}")
    return found


def _wanted(newest: Path, wanted: str) -> tuple[int | None, Path | None]:
    """Give the step that is best by the newest checkpoint, None for none, and the checkpoint wanted, None if it is missing."""
    state = contents.state(newest)
    step = state["best"]["step"] if state["best"] else None
    if wanted == "last" or step == state["step"] or (step is None and not wanted):
        return step, newest
    return step, None if step is None else _of_step(newest.parent, step)


def _of_step(folder: Path, step: int) -> Path | None:
    """Find the checkpoint of a step, under its own name or as what a copying tool made of a link to it."""
    own = folder / checkpoint.step_name(step)
    if own.is_dir() and not own.is_symlink():
        return own
    return next((copy for copy in checkpoint.copies(folder) if _step(copy) == step), None)


def _step(copy: Path) -> int | None:
    with suppress(CheckpointError):
        return int(contents.state(copy)["step"])
    return None


def settle_copies(folder: Path) -> None:
    """Give valid copies of checkpoints, named best or last, the names of their steps; only the run's holder may."""
    for copy in checkpoint.copies(folder):
        step = _step(copy)
        if step is not None and checkpoint.validity(copy) is None:
            checkpoint.settle_copy(copy, step)


def run_of(checkpoint_path: Path) -> Path | None:
    """Return the run directory that a checkpoint lies in; None for one that was copied elsewhere."""
    folder = checkpoint_path.absolute().parent
    return folder.parent if folder.name == "checkpoints" and (folder.parent / "config.yaml").exists() else None
