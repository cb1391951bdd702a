"""`dlx predict --explain`: beside an answer, a picture of where it was found, or the words that decide."""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Mapping, Sequence
from contextlib import suppress
from itertools import count
from pathlib import Path
from typing import Any

from dlx.commands.deciding_words import DecidingWords
from dlx.commands.explanation import Explanation
from dlx.core import Attending, Batch
from dlx.errors import DlxError, UsageError
from dlx.storage import files

ENDING = "_explained.png"
LONGEST = 255  # bytes of a file's name, where the file system does not say


def explanation(learner: Any, facts: Mapping[str, Any], processor: Any, folder: Path | None) -> Explanation:
    """Choose how answers can be explained; pictures are written into `folder`. Raises UsageError where there is no way."""
    if "channel_mean" in facts and {"label", "probability"} <= learner.task.predicts:
        return HeatMaps(learner, facts, Pictures(folder or Path()))
    if "output" in learner.task.predicts and isinstance(learner.task.model, Attending):
        return AttentionMaps(learner, processor, Pictures(folder or Path()))
    if "time" in learner.task.predicts:
        return HeardWords(Pictures(folder or Path()))
    if not processor.has_parts or "logits" not in learner.task.predicts:
        raise UsageError(
            "--explain: only classes of images and of texts, texts by a model with attention, and what is heard are explained"
        )
    if folder is not None:
        raise UsageError(f"--output {folder}: the words that decide are printed, and no file is written")
    return DecidingWords(learner, processor)


class Pictures:
    """Pictures `<name>_explained.png` in one folder; where a name is taken, by an earlier file too, it is numbered."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.taken: Counter[str] = Counter()  # how often a name was given
        try:
            folder.mkdir(parents=True, exist_ok=True)
            self.longest = os.pathconf(folder, "PC_NAME_MAX")
        except ValueError:
            self.longest = LONGEST
        except OSError as error:
            raise UsageError(f"--output {folder}: cannot be made a folder: {error.strerror}") from None

    def save(self, picture: Any, stem: str) -> Path:
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


class HeatMaps(Explanation):
    """A picture of where in each image the answer was found."""

    def __init__(self, learner: Any, facts: Mapping[str, Any], pictures: Pictures) -> None:
        self.learner, self.facts, self.pictures = learner, facts, pictures

    def add(self, examples: Sequence[Any], batch: Batch, prediction: Batch, answers: list[dict[str, Any]]) -> None:
        """Draw a picture for every image of a batch, and name its file in the answer."""
        from dlx.pictures.figures import explained, pixels
        from dlx.pictures.heat_maps import heat_maps

        with self.learner.device.autocast():
            heat = heat_maps(self.learner.task.model, batch["input"]).cpu().numpy()
        images = pixels(batch["input"].float().cpu().numpy(), self.facts["channel_mean"], self.facts["channel_std"])
        for answer, image, map_ in zip(answers, images, heat, strict=True):
            picture = explained(image, map_, f"{answer['label']} {answer['probability'][answer['label']]:.2f}")
            picture.set_dpi(120)
            answer["explained"] = str(self.pictures.save(picture, Path(answer["file"]).stem))


class AttentionMaps(Explanation):
    """A picture of where in each text the model looked for each piece of its answer."""

    def __init__(self, learner: Any, processor: Any, pictures: Pictures) -> None:
        self.learner, self.pictures = learner, pictures
        self.source, self.target = processor.vocabulary(), processor.target_vocabulary()

    def add(self, examples: Sequence[Any], batch: Batch, prediction: Batch, answers: list[dict[str, Any]]) -> None:
        """Draw a picture for every text of a batch, and name its file in the answer."""
        from dlx.pictures.alignments import alignment

        with self.learner.device.autocast():
            weights = self.learner.task.attention(batch, prediction).float().cpu().numpy()
        sources, outputs, lengths = batch["input"].tolist(), prediction["output"].tolist(), batch["length"].tolist()
        for row, answer in enumerate(answers):
            read = [self.source[code] for code in sources[row][: lengths[row]]]
            wrote = [self.target[code] for code in outputs[row] if code >= 0]
            picture = alignment(weights[row, : len(wrote), : len(read)], read, wrote)
            picture.set_dpi(120)
            answer["explained"] = str(self.pictures.save(picture, "text"))


class HeardWords(Explanation):
    """A picture of each recording, with the words of its answer where they were heard."""

    def __init__(self, pictures: Pictures) -> None:
        self.pictures = pictures

    def add(self, examples: Sequence[Any], batch: Batch, prediction: Batch, answers: list[dict[str, Any]]) -> None:
        """Draw a picture for every recording of a batch, or piece of one, and name its file in the answer."""
        from dlx.pictures.spectrograms import Heard, spectrograms

        for steps, length, answer in zip(batch["input"], batch["length"].tolist(), answers, strict=True):
            start, end = answer["start"], answer["end"]
            words = [(one["word"], one["start"] - start, one["end"] - start) for one in answer["words"]]
            title = f"{answer['output']} ({start:.2f} to {end:.2f} s)"
            picture = spectrograms([Heard(title, steps[:length].cpu().numpy(), (end - start) / length, words)])
            picture.set_dpi(120)
            answer["explained"] = str(self.pictures.save(picture, Path(answer["file"]).stem))
