"""`dlx predict --episodes`: a policy plays in its environment, and films of it on request."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlx.assembly.restore import load
from dlx.commands.generating import create, folder_for


def play(
    path: str, overrides: list[str], count: int, seed: int, filmed: bool, output: Path | None, trust: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield a row an episode, with the file of its film in the folder `output`.

    The episodes follow from `seed` and are none that training or an evaluation plays. Raises UsageError where the checkpoint's
    data are no environment.
    """
    loaded = load(path)
    from dlx.assembly.policy import playing  # torch loads only once the checkpoint is known to be whole

    built, actor = playing(loaded, overrides, trust)
    try:
        episodes = built.source.play(actor, count, seed, filmed)
        folder = folder_for(output, "played") if filmed else None
        for number, played in enumerate(episodes):
            row = {"episode": number, "return": math.fsum(played.rewards.tolist()), "length": len(played.rewards)}
            told = {} if math.isnan(played.success) else {"success": bool(played.success)}
            film = {} if folder is None else {"file": _save(played.film, folder / f"episode-{number:03d}.png")}
            yield {**row, **told, **film}
    finally:
        built.source.close()


def _save(film: Any, file: Path) -> str:
    content = io.BytesIO()
    moving(film).savefig(content)
    create(file, content.getvalue())
    return str(file)


def moving(film: Any) -> Any:
    """Return a film as a picture."""
    from dlx.pictures.films import MovingPicture

    return MovingPicture(film.frames, film.milliseconds)
