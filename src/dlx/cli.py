"""The commands as they are typed; nothing heavy is imported before a command needs it."""

from __future__ import annotations

import io
import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from dlx import __version__
from dlx.commands.rows import Rows
from dlx.commands.terminal import give, last_resort, prepare, say
from dlx.config.spec import Typed
from dlx.errors import DlxError, InterruptedBySignalError, UsageError, brief, one_line, printable

app = typer.Typer(
    add_completion=True,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="One YAML file describes an experiment; one command trains it, on any device.",
    epilog="Start with: dlx train iris_mlp, or with data of your own: dlx init PATH",
)

Config = Annotated[
    str,
    typer.Argument(
        metavar="CONFIG", help="A YAML file, or a config that comes with dlx (dlx configs); for `train --resume` also a run."
    ),
]
Overrides = Annotated[
    list[str] | None,
    typer.Argument(
        metavar="[KEY=VALUE ...]", help="Changes to the config: optimizer.lr=0.01, +new=1, ~key.", show_default=False
    ),
]
Checkpoint = Annotated[str, typer.Argument(metavar="PATH", help="A run, RUN/best, RUN/last or a checkpoint directory.")]
Json = Annotated[bool, typer.Option("--json", help="Write the result for machines.")]
Device = Annotated[str | None, typer.Option("--device", help="cpu, cuda, cuda:1, mps, xpu or auto.", show_default=False)]
Trust = Annotated[
    bool, typer.Option("--trust", help="Let a checkpoint from elsewhere read, write and fetch what its config names.")
]
Plugin = Annotated[list[str] | None, typer.Option("--plugin", metavar="FILE", help="Python file with components of your own.")]


_Mistyped: Any = typer.BadParameter.__mro__[2]  # the base of typer's own faults, which is at different places in its versions


def _version(value: bool) -> None:
    if value:
        typer.echo(f"dlx {__version__}")
        raise typer.Exit()


@app.callback()
def _main(
    version: Annotated[bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version.")] = False,
) -> None:
    pass


def _with(overrides: list[str] | None, device: str | None, seed: int | None = None) -> list[str]:
    """Write --device and --seed as the overrides that they are; faults name them as they were typed."""
    more = [] if device is None else [Typed(f"device.name={json.dumps(device)}", f"--device {device}")]
    return [*(overrides or []), *more, *([] if seed is None else [Typed(f"seed={seed}", f"--seed {seed}")])]


@app.command()
def train(
    config: Config,
    overrides: Overrides = None,
    name: Annotated[str | None, typer.Option("--name", help="Name of the run.", show_default=False)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on with the run, from its newest checkpoint.")] = False,
    device: Device = None,
    seed: Annotated[int | None, typer.Option("--seed", help="Where all randomness comes from.", show_default=False)] = None,
    runs: Annotated[Path, typer.Option("--runs", help="Folder of the runs.")] = Path("runs"),
    trust: Trust = False,
    as_json: Json = False,
    plugin: Plugin = None,
) -> None:
    """Train an experiment into a run directory."""
    prepare(plugin)
    from dlx.commands.train import train as run

    if name is not None:  # the name is held to the same rule as one in the config
        overrides = [*(overrides or []), Typed(f"name={json.dumps(name)}", f"--name {name}")]
    result = run(config, _with(overrides, device, seed), name=name, resume=resume, runs=runs, quiet=as_json, trust=trust)
    if as_json:
        give(json.dumps(result))
        return
    numbers = "  ".join(f"{one_line(k)} {brief(v, 4)}" for k, v in result.items() if k.startswith("val/") and k.count("/") == 1)
    if result["best"]:
        say(f"best at step {result['best']['step']}: {numbers}", err=True)
    say(result["run"])


@app.command("cross-validate")
def cross_validate(
    config: Config,
    overrides: Overrides = None,
    name: Annotated[str | None, typer.Option("--name", help="Beginning of the runs' names.", show_default=False)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where it was cut; finished folds stay.")] = False,
    runs: Annotated[Path, typer.Option("--runs", help="Folder of the runs.")] = Path("runs"),
    trust: Trust = False,
    as_json: Json = False,
    plugin: Plugin = None,
) -> None:
    """Train and test every fold of the data."""
    prepare(plugin)
    from dlx.commands import cross_validation as command

    result = command.cross_validate(config, overrides or [], name=name, resume=resume, runs=runs, quiet=as_json, trust=trust)
    (give if as_json else say)(command.render(result, as_json))


@app.command("eval")
def evaluate(
    path: Checkpoint,
    overrides: Overrides = None,
    split: Annotated[str, typer.Option("--split", help="Which split to evaluate on.")] = "test",
    device: Device = None,
    trust: Trust = False,
    as_json: Json = False,
    plugin: Plugin = None,
) -> None:
    """Evaluate a checkpoint, beside the honest baseline."""
    prepare(plugin)
    from dlx.commands import evaluate as command

    result = command.evaluate(path, _with(overrides, device), split, trust)
    (give if as_json else say)(command.render(result, as_json))


@app.command(cls=Rows)
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
        rows = command.predict(path, inputs or [], _with(None, device), explain=drawn, skip_bad=skip_bad, output=written)
    else:
        if inputs or explain or skip_bad:
            raise UsageError("--count makes new images; leave out the inputs, --explain and --skip-bad")
        from dlx.commands.generating import generate

        rows = generate(path, _with(None, device), count, label, seed, output)
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


@app.command()
def check(config: Config, overrides: Overrides = None, device: Device = None, plugin: Plugin = None) -> None:
    """Try an experiment in small: steps, metrics, a checkpoint."""
    prepare(plugin)
    from dlx.commands.check import check as run

    say(run(config, _with(overrides, device)))


@app.command()
def show(
    what: Annotated[str, typer.Argument(metavar="NAME|CONFIG|RUN", help="A component, a config file or a run.")],
    overrides: Overrides = None,
    plugin: Plugin = None,
) -> None:
    """Tell about a component, a config or a run."""
    prepare(plugin)
    from dlx.commands.show import show as run

    say(run(what, overrides or []))


Output = Annotated[
    Path | None, typer.Option("-o", "--output", help="File to write; nothing is overwritten.", show_default=False)
]


@app.command("configs")
def configs(
    name: Annotated[str | None, typer.Argument(metavar="[NAME]", help="One of them, to print or to copy.")] = None,
    output: Output = None,
) -> None:
    """List the configs that come with dlx, or give one."""
    from dlx.commands.configs import configs as run

    say(run(name, output))


@app.command("init")
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


@app.command("list-models")
def list_models(as_json: Json = False, plugin: Plugin = None) -> None:
    """List the models."""
    _list("model", as_json, plugin)


@app.command("list-datasets")
def list_datasets(as_json: Json = False, plugin: Plugin = None) -> None:
    """List the data sets."""
    _list("data set", as_json, plugin)


@app.command("list-tasks")
def list_tasks(as_json: Json = False, plugin: Plugin = None) -> None:
    """List the tasks."""
    _list("task", as_json, plugin)


@app.command()
def schema(plugin: Plugin = None) -> None:
    """Write the JSON schema of configs, for editors."""
    prepare(plugin)
    from dlx.commands.schema import schema as describe

    give(json.dumps(describe(), indent=1))


def main() -> None:
    """Run the command line; a failure is one message and its exit code."""
    try:
        code = app(standalone_mode=False)
    except DlxError as error:
        say(str(error), err=True)
        code = error.code
    except _Mistyped as error:
        error.message = printable(error.message)
        error.show()
        code = error.exit_code
    except InterruptedBySignalError as error:
        code = 128 + error.signal
    except (KeyboardInterrupt, typer.Abort):
        code = 130
    except BrokenPipeError:  # the reader of our output is gone
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        code = 1
    except Exception as error:
        code = last_resort(error)
    sys.exit(code or 0)
