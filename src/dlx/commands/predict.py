"""`dlx predict`: a checkpoint's answers, in words, to rows or files."""

from __future__ import annotations

import contextlib
import csv
import io
import json
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from dlx.assembly.restore import load
from dlx.errors import DlxError, UsageError


def predict(
    path: str,
    inputs: list[str],
    overrides: list[str],
    explain: Path | None = None,
    skip_bad: bool = False,
    output: Path | None = None,
) -> Iterator[dict[str, Any]]:
    """Yield one answer an example, in the order of the inputs.

    The folder `explain` gets pictures of why; `output` the files that answers consist of, where the model's do.
    """
    loaded = load(path)
    processor = loaded.processor()
    if processor is None:
        raise UsageError(f"{loaded.path}: its data has no processor, so there is nothing that could read an input")
    from dlx import core
    from dlx.engine import evaluator

    built = loaded.learner(overrides)
    if generates(built.task):
        raise UsageError(f"{loaded.path}: it reads no inputs, it makes images: dlx predict {path} --count 64")
    if skip_bad:
        if not processor.can_skip:
            raise UsageError("--skip-bad leaves out image files; this model reads none")
        processor.skip_bad = True
    if output is not None and not processor.writes:
        raise UsageError("--output is the folder of what --explain or --count draws, and neither is given")
    explanations = None
    if explain is not None:
        from dlx.commands.explaining import Explanations

        explanations = Explanations(built, loaded.json("facts.json"), explain)
    examples = iter(processor.read(inputs))
    given = 0
    with evaluator.evaluating(built.task, built.device, built.seed), telling(lambda: given):
        while group := list(islice(examples, processor.batch_size)):
            encoded = processor.encode(group)
            if skip_bad and not len(encoded["input"]):
                continue
            batch = core.to_device(encoded, built.device.device)
            with built.device.autocast():
                prediction = built.task.predict(batch)
            if (row := infinite(prediction)) is not None:
                place = processor.place(group[row]) or f"answer {given + row + 1}"
                raise DlxError(f"{place}: the model's answer is no finite number; its weights may have diverged")
            answers = processor.decode(prediction)
            if output is not None:
                processor.write(answers, prediction, output)
            if explanations:
                explanations.add(batch, answers)
            for answer in answers:
                given += 1
                yield answer
    if skip_bad and not given:
        count = len(processor.skipped)
        raise UsageError(f"no answer: {f'none of the {count:,} files can' if count > 1 else 'the only file cannot'} be used")


@contextlib.contextmanager
def telling(given: Callable[[], int]) -> Iterator[None]:
    """Add to an error how many answers came before it, since they look like all there are."""
    try:
        yield
    except DlxError as error:
        if not given():
            raise
        kind = UsageError if isinstance(error, UsageError) else DlxError
        raise kind(f"{error}\n{given():,} answer{'s' * (given() > 1)} had been printed before") from None


def infinite(prediction: Mapping[str, Any]) -> int | None:
    """Return the first row whose value or probability is no finite number."""
    for word in ("value", "probability"):
        if word in prediction and not prediction[word].isfinite().all():
            return int((~prediction[word].isfinite()).flatten(1).any(1).nonzero()[0])
    return None


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
        yield _line(list(map(written, row.values())))


def written(value: Any) -> str:
    """Write a value for people: a number with all the digits that mean something, large ones in full."""
    if type(value) is not float:  # a number that knows its digits writes itself
        return str(value)
    short = f"{value:.6g}"
    return repr(value) if "e+" in short else short


def _json(answer: dict[str, Any]) -> str:
    text = json.dumps(answer, ensure_ascii=False)
    return text if text.isprintable() else json.dumps(answer)  # such as a name of bytes that are no UTF-8


def _line(cells: list[str]) -> str:
    text = io.StringIO()
    csv.writer(text, lineterminator="\r\n").writerow(cells)  # with both line ends, so that a cell with either is quoted
    return text.getvalue().removesuffix("\r\n")
