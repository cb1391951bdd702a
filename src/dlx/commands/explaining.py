"""`dlx predict --explain`: beside an answer, a picture of where in the image it was found."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from dlx.core import Batch
from dlx.errors import UsageError
from dlx.explain import heat_maps


class Explanations:
    """Pictures `<name>_explained.png` in one folder; images of the same name are numbered."""

    def __init__(self, learner: Any, facts: Mapping[str, Any], folder: Path) -> None:
        if "channel_mean" not in facts:
            raise UsageError("--explain: only answers to images can be explained")
        self.learner, self.facts, self.folder = learner, facts, folder
        self.names: set[str] = set()
        folder.mkdir(parents=True, exist_ok=True)

    def add(self, batch: Batch, answers: list[dict[str, Any]]) -> None:
        """Draw a picture for every image of a batch, and name its file in the answer."""
        from dlx.plots import explained, pixels

        with self.learner.device.autocast():
            heat = heat_maps(self.learner.task.model, batch["input"]).cpu().numpy()
        images = pixels(batch["input"].float().cpu().numpy(), self.facts["channel_mean"], self.facts["channel_std"])
        for answer, image, map_ in zip(answers, images, heat, strict=True):
            file = self._file(Path(answer["file"]).stem)
            explained(image, map_, f"{answer['label']} {answer['probability'][answer['label']]:.2f}").savefig(file, dpi=120)
            answer["explained"] = str(file)

    def _file(self, stem: str) -> Path:
        name, number = stem, 1
        while name in self.names:
            number += 1
            name = f"{stem}_{number}"
        self.names.add(name)
        return self.folder / f"{name}_explained.png"
