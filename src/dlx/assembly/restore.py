"""A checkpoint to something that predicts or evaluates."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.config import spec
from dlx.errors import UsageError, dotted, printable
from dlx.storage import contents, seal
from dlx.storage.locating import locate, run_of
from dlx.storage.plugins import given_to

if TYPE_CHECKING:
    from dlx.assembly.kept import Kept
    from dlx.assembly.plan import Plan


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
        from dlx.assembly import experiment
        from dlx.assembly import plan as planning
        from dlx.errors import ConfigError
        from dlx.storage import weights

        described = self.spec(overrides)
        try:
            with weights.withheld():  # the checkpoint has them
                built = experiment.learner(planning.plan(described, inference=True), self.json("facts.json"))
        except ConfigError as error:
            raise spec.SpecError(described.describe(error)) from None
        self.fill(built.task)
        return built

    def fill(self, task: Any) -> None:
        """Put its weights into a task."""
        from dlx.storage import snapshot

        snapshot.load_module(task, snapshot.unpack_tensors(self.files["model.safetensors"]))

    def kept(self, wanted_splits: Iterable[str] | None = None) -> Kept:
        """Return what it keeps of the data that its model was trained on."""
        from dlx.assembly import experiment
        from dlx.assembly.kept import Kept

        facts, state = self.json("facts.json"), self.json("processor.json")
        digests = facts.pop("digests", {})
        processor = experiment.processor(state) if state else None
        return Kept(facts, processor, digests, None if wanted_splits is None else frozenset(wanted_splits))

    def is_own(self) -> bool:
        """Return whether it was made by this very user's dlx."""
        return seal.is_own(self.files["config.yaml"], self.files.get("seal", b""))

    def approve(self, plan: Plan, trusted: bool) -> None:
        """Raise UsageError where a stranger's config would have files read, written or downloaded without the user's word."""
        if trusted or self.is_own():
            return
        asked = [(path, act, value) for path, act, value in plan.requests() if not plan.spec.is_typed(path)]
        if asked:
            lines = [f"  {act} {'' if value is True else f'{value} '}({dotted(path)})" for path, act, value in asked]
            first = dotted(asked[0][0])
            raise UsageError(
                "\n".join(
                    [
                        f"{self.path}: was not made by your dlx, and its config asks to",
                        *map(printable, lines),
                        f"say --trust to let it, or give what it may use instead: {first}=...",
                    ]
                )
            )


def load(path: str) -> Loaded:
    """Find and verify a checkpoint."""
    folder = locate(path)
    return Loaded(folder, contents.read(folder))
