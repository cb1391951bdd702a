"""`dlx predict` as it is typed."""

from __future__ import annotations

import io
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import typer

from dlx.commands.terminal import give, prepare
from dlx.commands.typed.options import Checkpoint, Device, Json, Plugin, Settings, flat, with_settings
from dlx.errors import UsageError


@dataclass(frozen=True)
class Making:
    """What is made instead of answers."""

    count: Annotated[
        int | None, typer.Option("--count", min=1, help="Make as many new images, and a grid of them.", show_default=False)
    ] = None
    label: Annotated[
        str | None, typer.Option("--label", help="Class of the images made, by name or number.", show_default=False)
    ] = None
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which images are made, or episodes played.")] = 0


@dataclass(frozen=True)
class Playing:
    """What is played instead of answers."""

    episodes: Annotated[
        int | None, typer.Option("--episodes", min=1, help="Play as many in its environment.", show_default=False)
    ] = None
    video: Annotated[bool, typer.Option("--video", help="Film them too.")] = False
    form: Annotated[
        str | None, typer.Option("--format", metavar="apng|mp4", help="Of films; else apng.", show_default=False)
    ] = None


@dataclass(frozen=True)
class Reading:
    """How inputs come."""

    skip_bad: Annotated[bool, typer.Option("--skip-bad", help="Leave out images and recordings that cannot be used.")] = False
    microphone: Annotated[
        float | None,
        typer.Option("--microphone", metavar="SECONDS", min=0.1, help="Record from the microphone.", show_default=False),
    ] = None


@flat
def predict(
    path: Checkpoint,
    inputs: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="[INPUT...]",
            help="Images, recordings or folders of them; CSV files or rows such as 5.1,3.5,1.4,0.2; texts; - for stdin.",
        ),
    ] = None,
    file: Annotated[
        list[Path] | None,
        typer.Option(
            "--file", metavar="FILE", help="File of inputs, whatever its name: of texts, a line each.", show_default=False
        ),
    ] = None,
    settings: Settings = None,
    making: Making = Making(),
    playing: Playing = Playing(),
    reading: Reading = Reading(),
    explain: Annotated[
        bool, typer.Option("--explain", help="Show why: heat maps of images, words that decide, attention, sound.")
    ] = False,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", help="Folder of what is drawn or made; else here, ./generated or ./played.", show_default=False
        ),
    ] = None,
    device: Device = None,
    as_json: Json = False,
    plugin: Plugin = None,
) -> None:
    """Answer new examples, make some, or play."""
    prepare(plugin)
    from dlx.commands import predict as command

    given: list[str | Path] = [*(inputs or []), *(file or [])]
    overrides = with_settings(settings, device)
    rows: Iterator[dict[str, Any]]
    if playing.form is not None and not playing.video:
        raise UsageError("--format is that of the films of --video, which is not given")
    if playing.episodes is not None:
        if given or explain or reading.skip_bad or making.count is not None or making.label is not None:
            raise UsageError(
                "--episodes plays in the environment; leave out inputs, --explain, --skip-bad, --count and --label"
            )
        if output is not None and not playing.video:
            raise UsageError("--output is the folder of what --video films, which is not given")
        from dlx.commands.playing import play

        form = playing.form or "apng" if playing.video else None
        rows = play(path, overrides, playing.episodes, making.seed, form, output)
    elif playing.video:
        raise UsageError("--video films what --episodes N plays, which is not given")
    elif making.count is None:
        _refuse_stray(bool(given) or reading.microphone is not None, making.label)
        rows = command.predict(
            path, given, overrides, explaining=explain, skip_bad=reading.skip_bad, output=output, microphone=reading.microphone
        )
    else:
        if given or explain or reading.skip_bad or reading.microphone is not None:
            raise UsageError("--count makes new images; leave out the inputs, --explain and --skip-bad")
        from dlx.commands.generating import generate

        rows = generate(path, overrides, making.count, making.label, making.seed, output)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(errors="surrogateescape")  # names of files come out as they are
    for line in command.render(rows, as_json):
        give(line)


def _refuse_stray(given: bool, label: str | None) -> None:
    """Refuse options that say nothing without another one."""
    if not given:
        raise UsageError("give inputs to answer, --count N for a model that makes images, or --episodes N for one that acts")
    if label is not None:
        raise UsageError("--label chooses what --count makes, which is not given")
