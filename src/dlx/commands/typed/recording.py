"""`dlx record` as it is typed."""

from __future__ import annotations

from typing import Annotated

import typer

from dlx.commands.terminal import prepare, say
from dlx.commands.typed.options import Device, Output, Plugin, Settings, with_settings


def record(
    what: Annotated[
        str, typer.Argument(metavar="RUN|scripted|random", help="A run or checkpoint that plays, or what needs none.")
    ],
    environment: Annotated[
        str | None, typer.Argument(metavar="[ENVIRONMENT]", help="Where scripted or random actions play.", show_default=False)
    ] = None,
    output: Output = None,
    episodes: Annotated[int, typer.Option("--episodes", min=1, help="How many are played.")] = 50,
    seed: Annotated[int, typer.Option("--seed", min=0, help="Which episodes are played.")] = 0,
    form: Annotated[
        str, typer.Option("--format", metavar="dlx|minari", help="One file, or a folder as Minari has it.")
    ] = "dlx",
    settings: Settings = None,
    device: Device = None,
    plugin: Plugin = None,
) -> None:
    """Write down what a policy does, to be learned from."""
    prepare(plugin)
    from dlx.commands.recording import record as run

    say(run(what, environment, output, episodes, seed, with_settings(settings, device), form))
