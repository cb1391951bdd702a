"""A checkpoint to something that predicts or evaluates."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from dlx import checkpoint, spec
from dlx.commands.plugins import given_to
from dlx.errors import DlxError
from dlx.run import locate, run_of


@dataclass(frozen=True)
class Loaded:
    """A checkpoint's verified files and where it lies."""

    path: Path
    files: dict[str, bytes]

    def json(self, name: str) -> Any:
        """Read one of its JSON files."""
        return json.loads(self.files[name])

    def spec(self, overrides: list[str]) -> spec.Spec:
        """Read its config, with overrides."""
        described = spec.parse(self.files["config.yaml"].decode(), str(self.path / "config.yaml"), overrides)
        described.plugins = given_to(run_of(self.path))
        return described

    def learner(self, overrides: list[str]) -> Any:
        """Build what predicts, from the checkpoint alone, with its weights; raises SpecError."""
        from dlx import build, planning, weights
        from dlx.errors import ConfigError

        described = self.spec(overrides)
        try:
            with weights.withheld():  # the checkpoint has them
                built = build.learner(planning.plan(described, inference=True), self.json("facts.json"))
        except ConfigError as error:
            raise spec.SpecError(described.describe(error)) from None
        self.fill(built.task)
        return built

    def fill(self, task: Any) -> None:
        """Put its weights into a task."""
        from dlx import snapshot

        snapshot.load_module(task, snapshot.unpack_tensors(self.files["model.safetensors"]))

    def check_facts(self, facts: dict[str, Any]) -> None:
        """Refuse data that is no longer what the model was trained on."""
        kept, now = self.json("facts.json"), json.loads(json.dumps(facts))
        if changed := [key for key in kept if key in now and kept[key] != now[key] and key != "seed"]:
            told = "; ".join(f"{key} was {_short(kept[key])} and is {_short(now[key])}" for key in changed)
            raise DlxError(f"the data is not what this model was trained on: {told}")


def _short(value: Any) -> str:
    text = json.dumps(value)
    return text if len(text) < 80 else text[:77] + "..."


def load(path: str) -> Loaded:
    """Find and verify a checkpoint."""
    folder = locate(path)
    return Loaded(folder, checkpoint.read(folder))
