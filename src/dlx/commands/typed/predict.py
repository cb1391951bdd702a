"""`dlx predict` as it is typed."""

from __future__ import annotations

import io
import sys
from pathlib import Path
from typing import Annotated

import typer

from dlx.commands.terminal import give, prepare
from dlx.commands.typed.options import Checkpoint, Device, Json, Plugin, with_options
from dlx.errors import UsageError


def predict(
    path: Checkpoint,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[INPUT...]",
            help="Images or folders of them; CSV files or rows such as 5.1,3.5,1.4,0.2; texts; - for stdin.",
        ),
    ] = None,
    count: Annotated[
        int | None, typer.Option("--count", min=1, help="Make as many new images, and a grid of them.", show_default=False)
    ] = None,
    label: Annotated[
        str | None, typer.Option("--label", help="Class of the images made, by name or number.", show_default=False)
    ] = None,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which images are made.")] = 0,
    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out images that cannot be used.")] = False,
    explain: Annotated[bool, typer.Option("--explain", help="Draw where in each image the answer was found.")] = False,
    output: Annotated[
        Path | None,
        typer.Option("--output", help="Folder of what is drawn or made; else here, or ./generated.", show_default=False),
    ] = None,
    device: Device = None,
    as_json: Json = False,
    plugin: Plugin = None,
) -> None:
    """Answer new examples, or make some."""
    prepare(plugin)
    from dlx.commands import predict as command

    if count is None:
        _refuse_stray(inputs, label)
        drawn, written = (output or Path(), None) if explain else (None, output)
        rows = command.predict(path, inputs or [], with_options(None, device), explain=drawn, skip_bad=skip_bad, output=written)
    else:
        if inputs or explain or skip_bad:
            raise UsageError("--count makes new images; leave out the inputs, --explain and --skip-bad")
        from dlx.commands.generating import generate

        rows = generate(path, with_options(None, device), count, label, seed, output)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # names of files come out as they are
    for line in command.render(rows, as_json):
        give(line)


def _refuse_stray(inputs: list[str] | None, label: str | None) -> None:
    """Refuse options that say nothing without another one."""
    if not inputs:
        raise UsageError("give inputs to answer, or --count N for a model that makes images")
    if label is not None:
        raise UsageError("--label chooses what --count makes, which is not given")
