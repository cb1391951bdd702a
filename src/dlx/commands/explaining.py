"""`dlx predict --explain`: beside an answer, a picture of where in the image it was found."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from dlx.core import Batch
from dlx.errors import DlxError, UsageError
from dlx.pictures.heat_maps import heat_maps
from dlx.storage import files

ENDING = "_explained.png"
LONGEST = 255  # bytes of a file's name, where the file system does not say


class Explanations:
    """Pictures `<name>_explained.png` in one folder; where a name is taken, by an earlier file too, it is numbered."""

    def __init__(self, learner: Any, facts: Mapping[str, Any], folder: Path) -> None:
        if "channel_mean" not in facts:
            raise UsageError("--explain: only answers to images can be explained")
        self.learner, self.facts, self.folder = learner, facts, folder
        self.taken: Counter[str] = Counter()  # how often a name was given
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.longest = os.pathconf(folder, "PC_NAME_MAX")
        except ValueError:
            self.longest = LONGEST
        except OSError as error:
            raise UsageError(f"--output {folder}: cannot be made a folder: {error.strerror}") from None

    def add(self, batch: Batch, answers: list[dict[str, Any]]) -> None:
        """Draw a picture for every image of a batch, and name its file in the answer. Raises DlxError."""
        from dlx.pictures.figures import explained, pixels

        with self.learner.device.autocast():
            heat = heat_maps(self.learner.task.model, batch["input"]).cpu().numpy()
        images = pixels(batch["input"].float().cpu().numpy(), self.facts["channel_mean"], self.facts["channel_std"])
        for answer, image, map_ in zip(answers, images, heat, strict=True):
            picture = explained(image, map_, f"{answer['label']} {answer['probability'][answer['label']]:.2f}")
            picture.set_dpi(120)
            answer["explained"] = str(self._save(picture, Path(answer["file"]).stem))

    def _save(self, picture: Any, stem: str) -> Path:
        """Save a picture under the first name that is free: nothing is overwritten, and no link followed."""
        for number in count(self.taken[stem] + 1):
            file = self.folder / self._name(stem, f"_{number}" if number > 1 else "")
            try:
                with suppress(FileExistsError):
                    files.save_picture(picture, file, replace=False)
                    self.taken[stem] = number
                    return file
            except OSError as error:
                raise DlxError(f"{file}: cannot be written: {error.strerror}") from None
        raise AssertionError

    def _name(self, stem: str, number: str) -> str:
        """Cut a name to what the file system takes; one of several bytes to a letter is cut between letters."""
        room = self.longest - len(number) - len(ENDING)
        while len(os.fsencode(stem)) > room:
            stem = stem[:-1]
        return f"{stem}{number}{ENDING}"
