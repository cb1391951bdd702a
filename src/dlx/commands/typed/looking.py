"""The commands that look at what there is, as they are typed."""

from __future__ import annotations

import json
from typing import Annotated

import typer

from dlx.commands.terminal import give, prepare, say
from dlx.commands.typed.options import Json, Output, Overrides, Plugin


def show(
    what: Annotated[str, typer.Argument(metavar="NAME|CONFIG|RUN", help="A component, a config file or a run.")],
    overrides: Overrides = None,
    plugin: Plugin = None,
) -> None:
    """Tell about a component, a config or a run."""
    prepare(plugin)
    from dlx.commands.show import show as run

    say(run(what, overrides or []))


def configs(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One of them, to print or to copy.")] = None,
    output: Output = None,
) -> None:
    """List the configs that come with dlx, or give one."""
    from dlx.commands.configs import configs as run

    say(run(name, output))


def init(
    path: Annotated[str, typer.Argument(metavar="PATH", help="A CSV file, or a folder of images, a folder a class.")],
    output: Output = None,
    target: Annotated[str | None, typer.Option("--target", help="Column of a table to predict.", show_default=False)] = None,
) -> None:
    """Look at data, and write a config that fits them."""
    prepare(None)
    from dlx.commands.init import init as run

    say(run(path, output, target))


def _list(kind: str, as_json: bool, plugin: list[str] | None) -> None:
    prepare(plugin)
    from dlx.commands.listing import listing, render

    rows = listing(kind)
    (give if as_json else say)(json.dumps(rows) if as_json else render(rows))


def list_models(as_json: Json = False, plugin: Plugin = None) -> None:
    """List the models."""
    _list("model", as_json, plugin)


def list_datasets(as_json: Json = False, plugin: Plugin = None) -> None:
    """List the data sets."""
    _list("data set", as_json, plugin)


def list_tasks(as_json: Json = False, plugin: Plugin = None) -> None:
    """List the tasks."""
    _list("task", as_json, plugin)


def schema(plugin: Plugin = None) -> None:
    """Write the JSON schema of configs, for editors."""
    prepare(plugin)
    from dlx.commands.schema import schema as describe

    give(json.dumps(describe(), indent=1))
