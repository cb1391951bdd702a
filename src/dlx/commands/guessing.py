"""What a look at data tells: the target, the kinds of columns, the classes, and a model of a fitting size."""

from __future__ import annotations

import csv
import gzip
import io
import logging
import os
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from dlx.errors import UsageError, unknown

TARGETS = ("target", "label", "class", "y", "species", "category", "outcome", "price", "quality", "survived", "income")
DELIMITERS = ",;\t|"
LOOKED_AT = 1_000_000  # bytes of a table that are looked at for its header and what parts its cells
SAMPLED = 64  # images whose size is looked at
LARGEST = 128  # pixels a side that a first config reads
ENDINGS = (".png", ".jpg", ".jpeg", ".bmp", ".gif", ".tif", ".tiff", ".webp")


@dataclass
class Draft:
    """A config in the making: its sections, and what is said of some of their keys."""

    title: str
    sections: dict[str, Any]
    remarks: dict[str, str] = field(default_factory=dict)  # by key, such as `data.target`
    told: list[str] = field(default_factory=list)  # of the data, in lines at the top


def of_table(path: str, target: str | None) -> Draft:
    """Draft a config for a CSV file; raises UsageError where it has no such target."""
    lines = first_lines(path)
    delimiter = max(DELIMITERS, key=lambda mark: lines[0].count(mark)) if lines else ","
    columns = next(csv.reader(lines, delimiter=delimiter), [])
    goal, why = _goal(columns, target, path)
    data: dict[str, Any] = {"name": "csv", "train": os.path.abspath(path), "target": goal}
    data |= {} if delimiter == "," else {"delimiter": delimiter}
    source, data = _read_table(data)
    if strange := _names(source):
        data["drop"] = strange
        source, data = _read_table(data)
    facts, processor = source.facts, source.processor
    is_class = "num_classes" in facts
    size = count(source)
    data["batch_size"] = _batch_size(size)
    kinds = processor.describe()
    what = f"one of {facts['num_classes']} classes" if is_class else "a number"
    wide = 128 if size > 5000 else 64
    sections = {
        "task": "classification" if is_class else "regression",
        "data": data,
        "model": {"name": "mlp", "hidden": [wide, wide], **({"dropout": 0.1} if size > 500 else {})},
        "optimizer": {"name": "adamw", "lr": 0.003 if size < 5000 else 0.001},
        "schedule": "cosine",
        "epochs": 1,
    }
    remarks = {
        "task": f"'{goal}' is {what}",
        "data.target": why,
        "data.batch_size": f"of {size:,} rows to train on; a fifth each is kept for val and test",
    }
    remarks |= {"data.drop": "almost every row has its own: a name, and nothing to learn from"} if strange else {}
    remarks |= {"data.missing": "numbers that are missing become the column's mean"} if "missing" in data else {}
    return Draft(f"{Path(path).name}: '{goal}', {what}, from the other columns. Written by dlx init.", sections, remarks, kinds)


def first_lines(path: str) -> list[str]:
    """Read the first lines of a table."""
    opened = gzip.open(path, "rb") if path.endswith(".gz") else open(path, "rb")  # noqa: SIM115
    try:
        with opened as file:
            text = file.read(LOOKED_AT).decode("utf-8-sig")
    except (OSError, EOFError) as error:
        raise UsageError(f"{path}: cannot be read: {error}") from None
    except UnicodeDecodeError:
        raise UsageError(f"{path}: is no text in UTF-8, as a table would be") from None
    return io.StringIO(text).readlines()


def _goal(columns: list[str], asked: str | None, path: str) -> tuple[str | int, str]:
    """Choose the target: the one asked for, else a column of a usual name, else the last one."""
    if asked is not None:
        if asked not in columns:
            raise UsageError(f"{path}: --target {asked}: {unknown('column', asked, columns)}")
        return asked, "as asked for"
    usual = {name.strip().lower(): name for name in reversed(columns)}
    found = next((usual[name] for name in TARGETS if name in usual), None)
    if found is not None:
        return found, "guessed by its name; dlx init --target NAME decides otherwise"
    is_header = bool(columns) and not any(_is_number(name) for name in columns)
    last = columns[-1] if is_header else -1
    return last, "guessed: the last column; dlx init --target NAME decides otherwise"


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _read_table(data: dict[str, Any]) -> tuple[Any, dict[str, Any]]:
    """Read a table as training would; where numbers are missing, they are filled."""
    from dlx.assembly.planner import source_of

    try:
        with quietly():
            return source_of(data), data
    except UsageError as error:
        if "missing" in data or "missing" not in str(error):
            raise
        filled = {**data, "missing": "mean"}
        with quietly():
            return source_of(filled), filled


@contextmanager
def quietly() -> Iterator[None]:
    """Let a first look be silent: what there is to say is said of the config that comes of it."""
    log = logging.getLogger("dlx")
    level = log.level
    log.setLevel(logging.ERROR)
    try:
        yield
    finally:
        log.setLevel(level)


def _names(source: Any) -> list[str]:
    """Find columns of words almost all of which are different, such as names and numbers of tickets."""
    most = max(20, count(source) // 2)
    levels = source.processor.state_dict()["categorical"]["values"]
    return [name for name, words in levels.items() if len(words) > most]


def count(source: Any) -> int:
    """Count the samples of the training split."""
    return sum(len(batch["target"]) for batch in source.evaluate(None, "train"))


def _batch_size(size: int) -> int:
    return next((count for count, rows in ((32, 2_000), (64, 10_000), (128, 50_000)) if size < rows), 256)


def of_images(path: str) -> Draft:
    """Draft a config for a folder of images, a folder a class."""
    side, channels = _size(path)
    data = {"name": "image_folder", "path": os.path.abspath(path), "image_size": side, "channels": channels}
    from dlx.assembly.planner import source_of

    source = source_of(data)
    facts, size = source.facts, count(source)
    data["batch_size"] = _batch_size(size)
    blocks = [32, 64, 128, 256][: 2 if side <= 32 else 3 if side <= 64 else 4]
    sections = {
        "task": {"name": "classification", "label_smoothing": 0.1},
        "data": data,
        "model": {"name": "simple_cnn", "channels": blocks, "hidden": 128, "dropout": 0.3},
        "optimizer": {"name": "adamw", "lr": 0.002, "weight_decay": 0.01},
        "schedule": "one_cycle",
        "epochs": 1,
    }
    names = facts["class_names"]
    told = [f"{size:,} images to train on; splits: {', '.join(source.splits())}", f"{len(names)} classes: {some(names)}"]
    remarks = {
        "data.image_size": "what the model reads; files are brought to it",
        "data.batch_size": f"of {size:,} images",
        "model.name": "small; mobilenet_v2 with weights: default knows ImageNet, and wants image_size: 224",
    }
    return Draft(
        f"Images of {Path(path).absolute().name} into {len(names)} classes. Written by dlx init.", sections, remarks, told
    )


def some(names: list[str]) -> str:
    """Name the first ten, and how many more there are."""
    return ", ".join(names[:10]) + (f" and {len(names) - 10:,} more" if len(names) > 10 else "")


def _size(path: str) -> tuple[int, int]:
    """Choose the side and the channels that images are read with, by a few of them: their most common size, if small."""
    from PIL import Image

    found: list[tuple[int, str]] = []
    for file in _images(path):
        try:
            with Image.open(file) as image:
                found.append((min(image.size), image.mode))
        except Exception:  # what cannot be read is told when all of them are
            continue
        if len(found) == SAMPLED:
            break
    if not found:
        raise UsageError(f"{path}: holds no image that can be read ({', '.join(ENDINGS)})")
    side = Counter(side for side, _ in found).most_common(1)[0][0]
    grey = all(mode in ("1", "L", "LA", "I;16") for _, mode in found)
    return (side if side <= LARGEST else LARGEST), 1 if grey else 3


def _images(path: str) -> Iterator[str]:
    for folder, folders, names in os.walk(path):
        folders.sort()
        for name in sorted(names):
            if name.lower().endswith(ENDINGS):
                yield os.path.join(folder, name)
