"""`dlx predict`: a checkpoint's answers, in words, to rows or files."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from dlx.commands.loading import load
from dlx.errors import UsageError


def predict(
    path: str,
    inputs: list[str],
    overrides: list[str],
    batch_size: int = 256,
    explain: Path | None = None,
    skip_bad: bool = False,
) -> Iterator[dict[str, Any]]:
    """Yield one answer an example, in the order of the inputs; with pictures of why in the folder `explain`."""
    loaded = load(path)
    kept = loaded.json("processor.json")
    if kept is None:
        raise UsageError(f"{loaded.path}: its data has no processor, so there is nothing that could read an input")
    from dlx import build, core, evaluator

    built = loaded.learner(overrides)
    if generates(built.task):
        raise UsageError(f"{loaded.path}: it reads no inputs, it makes images: dlx predict {path} --count 64")
    processor: Any = build.processor(kept)
    if skip_bad:
        if not processor.can_skip:
            raise UsageError("--skip-bad leaves out image files; this model reads none")
        processor.skip_bad = True
    explanations = None
    if explain is not None:
        from dlx.commands.explaining import Explanations

        explanations = Explanations(built, loaded.json("facts.json"), explain)
    examples, answered = iter(processor.read(inputs)), False
    with evaluator.evaluating(built.task, built.device, built.seed):
        while group := list(islice(examples, batch_size)):
            encoded = processor.encode(group)
            if skip_bad and not len(encoded["input"]):
                continue
            batch = core.to_device(encoded, built.device.device)
            with built.device.autocast():
                prediction = built.task.predict(batch)
            answers = processor.decode(prediction)
            if explanations:
                explanations.add(batch, answers)
            answered = True
            yield from answers
    if skip_bad and not answered:
        count = len(processor.skipped)
        raise UsageError(f"no answer: {f'none of the {count:,} files can' if count > 1 else 'the only file cannot'} be used")


def generates(task: Any) -> bool:
    """Tell whether a task makes examples instead of answering them."""
    from dlx.core import Task

    return type(task).generate is not Task.generate


def flat(answer: dict[str, Any]) -> dict[str, Any]:
    """Lay an answer out as columns: a probability a class gets a column each."""
    columns: dict[str, Any] = {}
    for key, value in answer.items():
        if isinstance(value, dict):
            columns |= {f"{key} {name}": inner for name, inner in value.items()}
        else:
            columns[key] = value
    return columns


def render(answers: Iterator[dict[str, Any]], as_json: bool) -> Iterator[str]:
    """Write answers as JSON lines or as CSV with a header."""
    if as_json:
        yield from map(_json, answers)
        return
    header: list[str] = []
    for answer in answers:
        row = flat(answer)
        if not header:
            header = list(row)
            yield _line(header)
        yield _line([f"{v:.6g}" if isinstance(v, float) else v for v in row.values()])


def _json(answer: dict[str, Any]) -> str:
    text = json.dumps(answer, ensure_ascii=False)
    try:
        text.encode()
    except UnicodeEncodeError:  # a file name that is no text: JSON must be, so its bytes are escaped
        return json.dumps(answer)
    return text


def _line(cells: list[Any]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="").writerow(cells)
    return text.getvalue()
