"""What several commands take: arguments and options, with the words that `--help` says of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Annotated

import typer

from dlx.config.spec import Typed

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
Output = Annotated[
    Path | None, typer.Option("-o", "--output", help="File to write; nothing is overwritten.", show_default=False)
]


def with_options(overrides: list[str] | None, device: str | None, seed: int | None = None) -> list[str]:
    """Write --device and --seed as the overrides that they are; faults name them as they were typed."""
    more = [] if device is None else [Typed(f"device.name={json.dumps(device)}", f"--device {device}")]
    return [*(overrides or []), *more, *([] if seed is None else [Typed(f"seed={seed}", f"--seed {seed}")])]
