"""What is said on the terminal, and what is given to machines: the only place where texts are escaped and printed."""

from __future__ import annotations

import contextlib
import errno
import io
import logging
import os
import sys

import typer

from dlx.errors import printable, shown


def say(text: str, err: bool = False) -> None:
    """Write a text for people: what would act on a terminal is escaped here and nowhere else."""
    typer.echo(printable(text), err=err)


def give(data: str) -> None:
    """Write data for machines, byte for byte: typer's own echo would drop colours from names."""
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # names of files that are not UTF-8 come out as they are
    print(data, flush=True)


class _Escaping(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        return printable(super().format(record))


def prepare(plugins: list[str] | None) -> None:
    """Let what components have to say reach stderr, and load the user's own."""
    log = logging.getLogger("dlx")
    for handler in log.handlers:
        if isinstance(handler, logging.StreamHandler) and isinstance(handler.formatter, _Escaping):
            handler.stream = sys.stderr  # which a program that calls this twice may have changed in between
    if not log.handlers:
        handler = logging.StreamHandler()
        handler.setFormatter(_Escaping())
        log.addHandler(handler)
        log.setLevel(logging.INFO)
    for file in plugins or []:
        from dlx.registry import load_plugin

        load_plugin(file)


def last_resort(error: Exception) -> int:
    """Tell what only the machine can have caused, wherever it came from; raises anything else again."""
    from dlx.storage.failures import told

    if isinstance(error, OSError) and error.errno == errno.ENAMETOOLONG:  # pathlib answers the other reasons itself
        say(f"{shown(error.filename)}: {error.strerror}", err=True)
        return 2
    if (line := told(error)) is None:
        raise error
    with contextlib.suppress(OSError):  # what is left of the output, where that is what has no room, must not fail again
        sys.stdout.flush()
    os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
    say(line, err=True)
    return 1
