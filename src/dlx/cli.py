"""The commands as they are typed; nothing heavy is imported before a command needs it."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer

from dlx import __version__
from dlx.commands.rows import Rows
from dlx.commands.terminal import give, last_resort, prepare, say
from dlx.commands.typed import looking
from dlx.commands.typed.options import Checkpoint, Config, Device, Json, Overrides, Plugin, Trust, with_options
from dlx.commands.typed.predict import predict
from dlx.commands.typed.recording import record
from dlx.config.spec import Typed
from dlx.errors import DlxError, InterruptedBySignalError, brief, one_line, printable

app = typer.Typer(
    add_completion=True,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    help="One YAML file describes an experiment; one command trains it, on any device.",
    epilog="Start with: dlx train iris_mlp, or with data of your own: dlx init PATH",
)

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
    result = run(config, with_options(overrides, device, seed), name=name, resume=resume, runs=runs, quiet=as_json, trust=trust)
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


@app.command()
def seeds(
    config: Config,
    overrides: Overrides = None,
    count: Annotated[int, typer.Option("--seeds", min=1, help="How many: 0, 1, 2, ...")] = 3,
    split: Annotated[str, typer.Option("--split", help="Which split to evaluate on.")] = "test",
    name: Annotated[str | None, typer.Option("--name", help="Beginning of the runs' names.", show_default=False)] = None,
    resume: Annotated[bool, typer.Option("--resume", help="Go on where it was cut; finished runs stay.")] = False,
    runs: Annotated[Path, typer.Option("--runs", help="Folder of the runs.")] = Path("runs"),
    trust: Trust = False,
    as_json: Json = False,
    plugin: Plugin = None,
) -> None:
    """Train and test with several seeds."""
    prepare(plugin)
    from dlx.commands import seeds as command

    options: dict[str, Any] = {"name": name, "resume": resume, "runs": runs, "quiet": as_json, "trust": trust}
    result = command.seeds(config, overrides or [], count, split, **options)
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

    result = command.evaluate(path, with_options(overrides, device), split, trust)
    (give if as_json else say)(command.render(result, as_json))


app.command(cls=Rows)(predict)
app.command()(record)


@app.command()
def check(config: Config, overrides: Overrides = None, device: Device = None, plugin: Plugin = None) -> None:
    """Try an experiment in small: steps, metrics, a checkpoint."""
    prepare(plugin)
    from dlx.commands.check import check as run

    say(run(config, with_options(overrides, device)))


app.command("show")(looking.show)
app.command("configs")(looking.configs)
app.command("init")(looking.init)
app.command("list-models")(looking.list_models)
app.command("list-datasets")(looking.list_datasets)
app.command("list-tasks")(looking.list_tasks)
app.command("schema")(looking.schema)


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
