"""The plugin files that a training was given, which evaluating it needs too."""

from __future__ import annotations

import json
from itertools import pairwise
from pathlib import Path

from dlx.storage import files

MOST_BYTES = 1_000_000


def given_to(run: Path | None) -> list[str]:
    """List the plugin files of a run's last training, as its command named them; nothing where that is not known."""
    try:
        command = json.loads(files.read(run / "environment.json", MOST_BYTES))["command"] if run else []
        words = [str(word) for word in command]
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return []
    named = [after for word, after in pairwise(words) if word == "--plugin"]
    return named + [word.partition("=")[2] for word in words if word.startswith("--plugin=")]
