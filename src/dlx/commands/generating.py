"""`dlx predict --count`: new images from a checkpoint, as files and as one grid."""

from __future__ import annotations

import io
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from dlx.assembly.restore import Loaded, load
from dlx.commands.predict import generates
from dlx.errors import DlxError, UsageError, unknown
from dlx.storage import files

BATCH = 64  # images made at a time
GRID = 1024  # images that a grid shows at most
COLUMNS = 8


def generate(
    path: str, overrides: list[str], count: int, label: str | None, seed: int, folder: Path | None
) -> Iterator[dict[str, Any]]:
    """Yield one row an image written into `folder`; the last row is the grid of them."""
    loaded = load(path)
    built = loaded.learner(overrides)
    if not generates(built.task):
        raise UsageError(f"{loaded.path}: it answers inputs and makes no images: dlx predict {path} INPUT...")
    conditional, names = built.task.conditional, loaded.json("facts.json").get("class_names", [])
    wanted = None if label is None else _class(loaded, label, names, conditional)
    place = folder_for(folder, "generated")
    import numpy as np

    from dlx.pictures import grids

    shown: list[np.ndarray] = []
    for number, (image, named) in enumerate(_images(built, count, wanted, seed)):
        if len(shown) < GRID:
            shown.append(image)
        file = place / f"{number:05d}.png"
        content = io.BytesIO()
        grids.save(image, content)
        create(file, content.getvalue())
        yield {"file": str(file), **({} if named is None else {"label": names[named]})}
    columns = built.task.columns() if wanted is None else COLUMNS
    grid = place / "grid.png"
    content = io.BytesIO()
    grids.Grid(np.stack(shown), columns).savefig(content)
    create(grid, content.getvalue())
    yield {"file": str(grid), **({"label": label or ""} if conditional else {})}


def _images(built: Any, count: int, label: int | None, seed: int) -> Iterator[tuple[Any, int | None]]:
    import torch

    from dlx.engine.evaluator import evaluating

    for start in range(0, count, BATCH):
        with evaluating(built.task, built.device, seed), built.device.autocast():
            made = built.task.generate(torch.arange(start, min(start + BATCH, count)), seed, label)
        labels = made["label"].tolist() if "label" in made else [None] * len(made["image"])
        yield from zip(made["image"].cpu().numpy(), labels, strict=True)


def _class(loaded: Loaded, label: str, names: list[str], conditional: bool) -> int:
    """Find a class by its name, or else by its number."""
    if not conditional:
        raise UsageError(f"--label {label}: {loaded.path} was trained without classes; model.conditional: true learns them")
    if label in names:
        return names.index(label)
    if label.isdecimal() and int(label) < len(names):
        return int(label)
    raise UsageError(f"--label {label}: {unknown('class', label, names)}")


def create(file: Path, content: bytes) -> None:
    """Write a file that must not be there yet; raises UsageError where it is."""
    with writing(file):
        files.create(file, content)


@contextmanager
def writing(file: Path) -> Iterator[None]:
    """Tell what becomes of a file that must not be there yet, where it cannot be written; raises UsageError where it is."""
    try:
        yield
    except FileExistsError:
        raise UsageError(f"{file}: is there already, and nothing is overwritten") from None
    except OSError as error:
        raise DlxError(f"{file}: cannot be written: {error.strerror}") from None


def folder_for(wanted: Path | None, name: str) -> Path:
    """Make the folder given, which must not hold images yet, or the first free one of a name."""
    try:
        if wanted is None:
            return next(place for number in range(1, 10_000) if _made(place := Path(_numbered(name, number))))
        if wanted.is_dir() and any(wanted.glob("*.png")):
            raise UsageError(f"--output {wanted}: holds images already, and nothing is overwritten")
        wanted.mkdir(parents=True, exist_ok=True)
        return wanted
    except OSError as error:
        raise UsageError(f"--output {wanted or '.'}: cannot be made a folder: {error.strerror}") from None


def _numbered(name: str, number: int) -> str:
    return f"{name}-{number}" if number > 1 else name


def _made(place: Path) -> bool:
    try:
        place.mkdir()
    except FileExistsError:
        return False
    return True
