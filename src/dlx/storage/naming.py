"""The one rule for a run's name: one plain directory name that the file system takes, with what dlx adds to it."""

from __future__ import annotations

import os
import re
from contextlib import suppress
from pathlib import Path

from dlx.errors import printable

LONGEST = 255  # bytes of a name on nearly all file systems
ADDED = 15  # bytes that a number such as -2 and the names of passing files may add


def fault(name: str) -> str | None:
    """Return why no run can ever have had a name; None for one that a run may have."""
    if not name or name.startswith(".") or any(character in name for character in "/\\\0"):
        return "a run's name is one directory name, without / and \\, that does not begin with a dot"
    return None


def fault_of_new(name: str, folder: Path) -> str | None:
    """Return why a new run in `folder`, which need not exist yet, cannot have a name; None where it can."""
    if found := fault(name):
        return found
    if printable(name) != name or "\n" in name or "\t" in name:
        return "a run's name has no control characters"
    if len(name.encode()) > (most := longest(folder) - ADDED):
        return f"a run's name has at most {most} bytes in {folder}, not {len(name.encode())}"
    return None


def longest(folder: Path) -> int:
    """Return the bytes that a name may have in a folder, or in the nearest one above it that exists."""
    for place in (folder, *folder.absolute().parents):
        with suppress(OSError, AttributeError, ValueError):
            return min(os.pathconf(place, "PC_NAME_MAX"), LONGEST)
    return LONGEST


def file_name(name: str) -> str:
    """Write the name of a picture or a table as one that a file may have in a folder of the run, and nowhere else."""
    return re.sub(r"[^\w .,=+()-]", "_", name).lstrip(".") or "_"
