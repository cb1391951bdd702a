"""A checkpoint to something that predicts or evaluates."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.config.spec import parse
from dlx.config.values import Spec
from dlx.errors import ConfigError, Fault, UsageError, dotted, printable
from dlx.storage import contents, files, manifest, seal
from dlx.storage.locating import locate, run_of
from dlx.storage.plugins import given_to

if TYPE_CHECKING:
    from dlx.assembly.learner import Learner
    from dlx.assembly.plan import LearnerPlan, Plan
    from dlx.assembly.trained_on import TrainedOn
    from dlx.core import Processor, Task


@dataclass(frozen=True)
class Loaded:
    """A checkpoint's verified files and where it lies."""

    path: Path
    files: dict[str, bytes]

    def json(self, name: str) -> Any:
        """Read one of its JSON files."""
        return json.loads(self.files[name])

    def spec(self, overrides: list[str]) -> Spec:
        """Read its config, with overrides."""
        described = parse(self.files["config.yaml"].decode(), str(self.path / "config.yaml"), overrides)
        described.plugins = given_to(run_of(self.path))
        return described

    def plan(self, overrides: list[str]) -> LearnerPlan:
        """Check what of its config predicts; raises SpecError, also for an override of anything else."""
        from dlx.assembly import planner

        described = self.spec(overrides)
        with described.telling():
            if idle := [path for path in described.typed if path[0] not in planner.LEARNER]:
                wanted = f"has no part in an answer; what has is {', '.join(planner.LEARNER)}"
                raise ConfigError([Fault(path, wanted) for path in sorted(idle, key=dotted)])
        return planner.learner_plan(described)

    def learner(self, overrides: list[str]) -> Learner:
        """Build what predicts, from the checkpoint alone, with its weights; raises SpecError."""
        from dlx.assembly.learner import build_learner
        from dlx.storage import weights

        plan = self.plan(overrides)
        with plan.spec.telling(), weights.withheld():  # the checkpoint has them
            built = build_learner(plan, self.json("facts.json"), self.processor())
        self.fill(built.task)
        return built

    def task(self, plan: LearnerPlan) -> Task:
        """Build the task of a plan with the checkpoint's weights, on the CPU; no random number is drawn from training's."""
        import torch

        from dlx.assembly.learner import build_task
        from dlx.storage import weights

        with plan.spec.telling(), weights.withheld(), torch.random.fork_rng(devices=[]):
            task = build_task(plan, self.json("facts.json"), self.processor())
        self.fill(task)
        return task

    def fill(self, task: Task) -> None:
        """Put its weights into a task."""
        from dlx.storage import snapshot

        snapshot.load_module(task, snapshot.unpack_tensors(self.files["model.safetensors"]))

    def processor(self) -> Processor | None:
        """Make its processor again; None where its data had none."""
        from dlx.assembly.learner import restored_processor

        state = self.json("processor.json")
        return restored_processor(state) if state else None

    def trained_on(self, wanted_splits: Iterable[str] | None = None) -> TrainedOn:
        """Return what it keeps of the data that its model was trained on."""
        from dlx.assembly.trained_on import TrainedOn

        facts = self.json("facts.json")
        digests, references = facts.pop("digests", {}), facts.pop("references", {})
        wanted = None if wanted_splits is None else frozenset(wanted_splits)
        return TrainedOn(facts, self.processor(), digests, wanted, references)

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


def digest(path: str) -> str:
    """Return what tells the checkpoint that a path leads to from any other: the SHA-256 of its manifest."""
    return hashlib.sha256(files.read(locate(path) / manifest.MANIFEST, manifest.MOST_MANIFEST)).hexdigest()
