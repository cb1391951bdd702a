"""`dlx predict --count`: new images from a checkpoint, as files and as one grid."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlx.commands.loading import Loaded, load
from dlx.commands.predict import generates
from dlx.errors import UsageError, unknown

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
    place = _folder(folder)
    import numpy as np

    from dlx import pictures

    shown: list[np.ndarray] = []
    for number, (image, named) in enumerate(_images(built, count, wanted, seed)):
        if len(shown) < GRID:
            shown.append(image)
        file = place / f"{number:05d}.png"
        pictures.save(image, file)
        yield {"file": str(file), **({} if named is None else {"label": names[named]})}
    columns = built.task.columns() if wanted is None else COLUMNS
    grid = place / "grid.png"
    pictures.Grid(np.stack(shown), columns).savefig(grid)
    yield {"file": str(grid), **({"label": label or ""} if conditional else {})}


def _images(built: Any, count: int, label: int | None, seed: int) -> Iterator[tuple[Any, int | None]]:
    import torch

    from dlx.evaluator import evaluating

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


def _folder(wanted: Path | None) -> Path:
    """Make the folder given, which must not hold images yet, or the first free one named generated."""
    free = (Path("generated" + (f"-{n}" if n > 1 else "")) for n in range(1, 10_000))
    place = wanted or next(folder for folder in free if not folder.exists())
    if place.is_dir() and any(place.glob("*.png")):
        raise UsageError(f"--output {place}: holds images already, and nothing is overwritten")
    place.mkdir(parents=True, exist_ok=True)
    return place
