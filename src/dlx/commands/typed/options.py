"""What several commands take: arguments and options, with the words that `--help` says of them."""

from __future__ import annotations

import dataclasses
import inspect
import json
import typing
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import typer

from dlx.config.spec import Typed
from dlx.errors import shown

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
Settings = Annotated[
    list[str] | None,
    typer.Option(
        "--set", metavar="KEY=VALUE", help="Change to the config: task.beam_size=5; may be repeated.", show_default=False
    ),
]
Output = Annotated[
    Path | None, typer.Option("-o", "--output", help="File to write; nothing is overwritten.", show_default=False)
]


def with_options(overrides: list[str] | None, device: str | None, seed: int | None = None) -> list[str]:
    """Write --device and --seed as the overrides that they are; faults name them as they were typed."""
    more = [] if device is None else [Typed(f"device.name={json.dumps(device)}", f"--device {device}")]
    return [*(overrides or []), *more, *([] if seed is None else [Typed(f"seed={seed}", f"--seed {seed}")])]


def with_settings(settings: list[str] | None, device: str | None) -> list[str]:
    """Write --set and --device as the overrides that they are; faults name them as they were typed."""
    return with_options([Typed(setting, f"--set {shown(setting)}") for setting in settings or []], device)


def flat(command: Callable[..., None]) -> Callable[..., None]:
    """Let the fields of a dataclass that a command takes stand among its options, as those of an OptionGroup do in YAML."""
    hints = typing.get_type_hints(command, include_extras=True)
    groups: dict[str, Any] = {name: hint for name, hint in hints.items() if dataclasses.is_dataclass(hint)}

    def run(**given: Any) -> None:
        made = {name: group(**{f.name: given.pop(f.name) for f in dataclasses.fields(group)}) for name, group in groups.items()}
        command(**given, **made)

    def parameters() -> Iterator[inspect.Parameter]:
        for name, parameter in inspect.signature(command).parameters.items():
            if name not in groups:
                yield parameter.replace(annotation=hints[name])
                continue
            own = typing.get_type_hints(groups[name], include_extras=True)
            for field in dataclasses.fields(groups[name]):
                yield inspect.Parameter(field.name, parameter.kind, default=field.default, annotation=own[field.name])

    signature = inspect.Signature(list(parameters()))
    run.__name__, run.__doc__ = command.__name__, command.__doc__
    run.__annotations__ = {name: parameter.annotation for name, parameter in signature.parameters.items()}
    vars(run)["__signature__"] = signature
    return run
