"""`dlx configs`: the configs that come with dlx, listed, printed or copied."""

from __future__ import annotations

import os
from pathlib import Path

from dlx.config import shipped
from dlx.errors import UsageError
from dlx.storage import files


def configs(name: str | None, output: Path | None) -> str:
    """List all configs with a line each, or give one's text; with `output` it is copied there, and nothing overwritten."""
    if name is None:
        if output is not None:
            raise UsageError("--output copies one config: dlx configs NAME --output FILE")
        names = shipped.names()
        width = max(map(len, names), default=0)
        return "\n".join(f"{one:{width}}  {shipped.about(one)}" for one in names)
    text = shipped.get(name).read_text(encoding="utf-8")
    if output is None:
        return text.rstrip("\n")
    return f"wrote {new_file(output, text)}"


def refuse_existing(output: Path) -> None:
    """Raise UsageError where a file is there already."""
    if os.path.lexists(output):
        raise UsageError(f"{output} exists, and nothing is overwritten; choose another --output")


def new_file(output: Path, text: str) -> Path:
    """Write a file that is not there yet; raises UsageError where it is, or where none can be."""
    try:
        files.create(output, text.encode())
    except FileExistsError:
        refuse_existing(output)
    except OSError as error:
        raise UsageError(f"cannot write {output}: {error.strerror}") from None
    return output
