"""`dlx predict`: a checkpoint's answers, in words, to rows or files."""

from __future__ import annotations

import csv
import io
import json
import logging
import os
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from itertools import chain
from pathlib import Path
from typing import Any

from dlx.assembly.restore import load
from dlx.commands.answering import Answering
from dlx.commands.terminal import say
from dlx.errors import UsageError

log = logging.getLogger("dlx")
Lines = Callable[[Iterator[dict[str, Any]]], Iterator[str]]


class Answers(Iterator[dict[str, Any]]):
    """Answers as they come; `lines` writes them for people, or is None where they are rows of the `processor`'s table."""

    def __init__(self, found: Iterator[dict[str, Any]], lines: Lines | None, processor: Any) -> None:
        self.found, self.lines, self.processor = found, lines, processor

    def __next__(self) -> dict[str, Any]:
        """Return the next answer."""
        return next(self.found)


def predict(
    path: str,
    inputs: Iterable[str | os.PathLike[str]],
    overrides: list[str],
    explaining: bool = False,
    skip_bad: bool = False,
    output: Path | None = None,
    microphone: float | None = None,
) -> Answers:
    """Yield one answer an example, in the order of the inputs; one that is a path and no string is a file.

    So many seconds of a `microphone` come behind them. With `explaining` they say why;
    the folder `output` gets the pictures of that, or else the files that answers consist of.
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
            raise UsageError("--skip-bad leaves out files of images and sound; this model reads none")
        processor.skip_bad = True
    if output is not None and not explaining and not processor.writes:
        raise UsageError("--output is the folder of what --explain or --count draws, and neither is given")
    why = None
    if explaining:
        from dlx.commands.explaining import explanation

        why = explanation(built, loaded.json("facts.json"), processor, output)
    from dlx.core import File

    given = [one if isinstance(one, str) else File(os.fspath(one)) for one in inputs]
    answering = Answering(built, processor, why.add if why else None, None if why else output)
    lines = partial(_plain, processor.line) if processor.line else why.lines if why else None
    heard = processor.listen(microphone) if microphone is not None else ()
    return Answers(some(answering, chain(processor.read(given), heard)), lines, processor)


def some(answering: Answering, examples: Iterable[Any]) -> Iterator[dict[str, Any]]:
    """Yield answers; raises UsageError where all examples were left out."""
    yield from answering.all(examples)
    if answering.processor.skip_bad and not answering.given:
        count = len(answering.processor.skipped)
        raise UsageError(f"no answer: {f'none of the {count:,} files can' if count > 1 else 'the only file cannot'} be used")
    if answering.explain is None:  # explaining encodes a text many times
        for remark in answering.processor.remarks():
            log.warning("%s", remark)


def generates(task: Any) -> bool:
    """Tell whether a task makes examples instead of answering them."""
    from dlx.core import Task

    return type(task).generate is not Task.generate


def flat(answer: dict[str, Any]) -> dict[str, Any]:
    """Lay an answer out as columns: each probability of a class, and each number of several, gets one."""
    columns: dict[str, Any] = {}
    for key, value in answer.items():
        if isinstance(value, dict):
            columns |= {f"{key} {name}": inner for name, inner in value.items()}
        elif isinstance(value, list):
            columns |= {f"{key} {number}": inner for number, inner in enumerate(value)}
        else:
            columns[key] = value
    return columns


def render(answers: Iterator[dict[str, Any]], as_json: bool) -> Iterator[str]:
    """Write answers as JSON lines, as CSV with a header, or as the one line that each of them is."""
    if as_json:
        yield from map(_json, answers)
    elif isinstance(answers, Answers) and answers.lines:
        yield from answers.lines(answers)
    elif isinstance(answers, Answers):
        rows = (row for answer in answers for row in answers.processor.rows(answer))
        yield from _table(rows, answers.processor.header)
    else:
        yield from _table(answers)


def within_line(text: str) -> str:
    """Write a text on one line, whatever ends a line in it: as many lines come out as went in."""
    return " ".join(text.splitlines())


def _plain(word: str, answers: Iterator[dict[str, Any]]) -> Iterator[str]:
    """Write one word of answers; what was drawn is told beside it, on standard error."""
    for answer in answers:
        if "explained" in answer:
            say(f"wrote {answer['explained']}", err=True)
        yield within_line(answer[word])


def _table(rows: Iterator[dict[str, Any]], columns: Sequence[str] = ()) -> Iterator[str]:
    header: list[str] = []
    for given in rows:
        row = flat(given)
        if not header:
            header = list(row)
            yield _line(header)
        yield _line(list(map(written, row.values())))
    if not header and columns:
        yield _line(list(columns))


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
