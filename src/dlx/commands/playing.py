"""`dlx predict --episodes`: a policy plays in its environment, and films of it on request."""

from __future__ import annotations

import io
import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from dlx.assembly.restore import load
from dlx.commands.generating import create, folder_for
from dlx.errors import UsageError, unknown
from dlx.pictures import videos

APNG, MP4 = "apng", "mp4"
ENDINGS = {APNG: "png", MP4: "mp4"}  # of the files of films, by their form


def play(
    path: str, overrides: list[str], count: int, seed: int, form: str | None, output: Path | None, trust: bool = False
) -> Iterator[dict[str, Any]]:
    """Yield a row an episode, with the file of its film, of a form, in the folder `output`; without a form there are none.

    The episodes follow from `seed` and are none that training or an evaluation plays. Raises UsageError where the checkpoint's
    data are no environment.
    """
    _refuse_form(form)
    loaded = load(path)
    from dlx.assembly.playing import playing  # torch loads only once the checkpoint is known to be whole

    built, actor = playing(loaded, overrides, trust)
    try:
        episodes = built.source.play(actor, count, seed, form is not None)
        folder = folder_for(output, "played") if form else None
        for number, played in enumerate(episodes):
            row = {"episode": number, "return": math.fsum(played.rewards.tolist()), "length": len(played.rewards)}
            told = {} if math.isnan(played.success) else {"success": bool(played.success)}
            film = {} if folder is None else {"file": _save(played.film, folder / f"episode-{number:03d}", form)}
            yield {**row, **told, **film}
    finally:
        built.source.close()


def _refuse_form(form: str | None) -> None:
    """Raise UsageError where films cannot have a form."""
    if form is not None and form not in ENDINGS:
        raise UsageError(f"--format {form}: {unknown('format', form, list(ENDINGS))}")
    if form == MP4:
        videos.library()


def _save(film: Any, stem: Path, form: str | None) -> str:
    content, file = io.BytesIO(), stem.with_name(f"{stem.name}.{ENDINGS[form or APNG]}")
    if form == MP4:
        content.write(videos.mp4(film.frames, film.milliseconds))
    else:
        moving(film).savefig(content)
    create(file, content.getvalue())
    return str(file)


def moving(film: Any) -> Any:
    """Return a film as a picture."""
    from dlx.pictures.films import MovingPicture

    return MovingPicture(film.frames, film.milliseconds)
