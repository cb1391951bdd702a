"""`dlx predict`: a checkpoint's answers, in words, to rows or files."""

from __future__ import annotations

import csv
import io
import json
import os
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from dlx.assembly.restore import load
from dlx.commands.answering import Answering
from dlx.errors import UsageError


class Answers(Iterator[dict[str, Any]]):
    """Answers as they come; `line` is the word that is printed alone, a line an answer, or "" where all words are."""

    def __init__(self, found: Iterator[dict[str, Any]], line: str) -> None:
        self.found, self.line = found, line

    def __next__(self) -> dict[str, Any]:
        """Return the next answer."""
        return next(self.found)


def predict(
    path: str,
    inputs: Iterable[str | os.PathLike[str]],
    overrides: list[str],
    explain: Path | None = None,
    skip_bad: bool = False,
    output: Path | None = None,
) -> Answers:
    """Yield one answer an example, in the order of the inputs; one that is a path and no string is a file.

    The folder `explain` gets pictures of why; `output` the files that answers consist of, where the model's do.
    """
    loaded = load(path)
    processor = loaded.processor()
    if processor is None:
        raise UsageError(f"{loaded.path}: its data has no processor, so there is nothing that could read an input")
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
    from dlx.core import File

    given = [one if isinstance(one, str) else File(os.fspath(one)) for one in inputs]
    answering = Answering(built, processor, explanations.add if explanations else None, output)
    return Answers(some(answering, processor.read(given)), processor.line)


def some(answering: Answering, examples: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Yield answers; raises UsageError where all examples were left out."""
    yield from answering.all(examples)
    if answering.processor.skip_bad and not answering.given:
        count = len(answering.processor.skipped)
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
    """Write answers as JSON lines, as CSV with a header, or as the one line that each of them is."""
    if as_json:
        yield from map(_json, answers)
    elif isinstance(answers, Answers) and answers.line:
        yield from (within_line(answer[answers.line]) for answer in answers)
    else:
        yield from _table(answers)


def within_line(text: str) -> str:
    """Write a text on one line, whatever ends a line in it: as many lines come out as went in."""
    return " ".join(text.splitlines())


def _table(answers: Iterator[dict[str, Any]]) -> Iterator[str]:
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
