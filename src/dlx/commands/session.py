"""One process's work on one run: its signals, its status, its checkpoints and its log."""

from __future__ import annotations

import contextlib
import logging
import shlex
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.commands.signals import stop_signals
from dlx.errors import DlxError, InterruptedBySignalError
from dlx.storage import checkpoint, contents
from dlx.storage.failures import reason, told
from dlx.storage.machine import environment
from dlx.storage.run import Run

if TYPE_CHECKING:
    from dlx.assembly.experiment import Experiment
    from dlx.engine.trainer import Trainer

log = logging.getLogger("dlx")


class Session:
    """One process's work on one run."""

    def __init__(
        self, run: Run, built: Experiment, trainer: Trainer, config: dict[str, Any], is_new: bool, quiet: bool
    ) -> None:
        from dlx import registry
        from dlx.config import yaml_reader
        from dlx.engine.journal import Journal
        from dlx.engine.saver import Saver

        self.run_directory, self.trainer, self.built, self.is_new = run, trainer, built, is_new
        source = built.source
        facts = {**built.facts, "digests": dict(source.digests), "references": dict(built.references)}
        self.config = yaml_reader.dump(config)
        self.saver = Saver(run.path / "checkpoints", self.config, facts, source.processor, trainer.options.keep)
        self.received: list[int] = []  # signals that ask for an end
        wanted = {"run": run, "quiet": quiet}
        always = [registry.loggers.build(n, {}, wanted) for n in ("console", "jsonl")]
        self.journal = Journal([*always, *(logger.build(wanted) for logger in built.plan.loggers)])

    def snapshot(self, trainer: Trainer, *, resumable: bool) -> Any:
        """Return the state as it is now."""
        return self.saver.snapshot(trainer, resumable=resumable)

    def stop_signal(self) -> int | None:
        """Return the last signal that came, if any."""
        return self.received[-1] if self.received else None

    def save(self, trainer: Trainer, states: list[Any]) -> None:
        """Save states when the lines up to them are durable: they are not written again after a resume."""
        self.run_directory.sync_metrics()
        self.saver.save(trainer, states)

    def run(self) -> dict[str, Any]:
        """Train, and leave a true status behind whatever happens."""
        try:
            with stop_signals() as self.received:
                self.prepare()  # a refusal to resume leaves the status as it was
                with self.status():
                    self.trainer.fit(self.journal, self)
        finally:
            self.journal.close()
            self.trainer.source.close()
        return self.summary()

    @contextlib.contextmanager
    def status(self) -> Iterator[None]:
        """Have the run's status say how a training goes, and how it ended."""
        run, trainer = self.run_directory, self.trainer
        try:
            run.write_status("running", step=trainer.step)
            yield
        except (InterruptedBySignalError, KeyboardInterrupt) as error:
            self.conclude(
                "interrupted",
                signal.Signals(error.signal if isinstance(error, InterruptedBySignalError) else signal.SIGINT).name,
            )
            self.journal.message(f"interrupted at step {trainer.step}; go on with: dlx train {quoted(run.path)} --resume")
            raise
        except BaseException as error:
            self.conclude("failed", told(error) or f"{type(error).__name__}: {error}")
            raise
        else:
            run.write_status("finished", step=trainer.step, best=trainer.best)
        finally:
            self.draw()

    def conclude(self, state: Any, reason: str) -> None:
        """Leave a status behind an end that came too early; where that fails too, the reason is still what is told."""
        try:
            self.run_directory.write_status(state, step=self.trainer.step, reason=reason)
        except DlxError as error:
            log.warning("warning: %s", error)

    def prepare(self) -> None:
        """Begin a run, or bring everything to the newest checkpoint of an old one."""
        run = self.run_directory
        self.journal.message(f"run {run.path}")
        found, complaints = checkpoint.newest_valid(run.path / "checkpoints", contents.refuse_unresumable)
        for complaint in complaints:
            self.journal.message(f"warning: {complaint}")
        if found is not None:
            self.resume(found)
        elif not self.is_new:
            self.journal.message("no checkpoint was saved: starting at the beginning")
            run.truncate_metrics(-1)
        run.write_config(self.config)
        run.write_environment(environment())
        if found is None:
            self.introduce()

    def introduce(self) -> None:
        """Say in one line what is trained where, and what the columns of a table are taken for."""
        from dlx.commands import describing

        count = sum(p.numel() for p in self.built.task.model.parameters())
        trainer = self.trainer
        per_epoch = f" in epochs of {trainer.steps_per_epoch:,}" if trainer.steps_per_epoch else ""
        model, steps = f"{self.built.plan.model.name}, {count:,} parameters", f"{trainer.total_steps:,} steps{per_epoch}"
        self.journal.message(f"{model}; {steps}; {self.built.device.describe()}")
        for line in describing.inputs(self.built.source.processor):
            self.journal.message(line)
        if skipped := self.saver.facts.get("skipped_count"):
            self.journal.message(f"{skipped:,} bad images are left out")

    def resume(self, found: Path) -> None:
        """Go back to a checkpoint of this run."""
        from dlx.engine.saver import unpack

        unpack(self.trainer, contents.read(found))
        self.saver.return_to(self.trainer, found)
        self.run_directory.truncate_metrics(self.trainer.step)
        done = self.trainer.step >= self.trainer.total_steps
        hint = "; it is trained to its end: larger epochs extend it" if done else ""
        self.journal.message(f"resuming at step {self.trainer.step:,} of {self.trainer.total_steps:,}{hint}")

    def draw(self) -> None:
        """Draw the curves and the films; a failure to draw is no failure of the run."""
        try:
            from dlx.pictures.figures import curves
            from dlx.pictures.grids import films

            films(self.run_directory.folder("plots"))
            figure = curves(self.run_directory.read_metrics(), self.trainer.best)
            if figure is not None:
                self.journal.picture(self.trainer.step, "curves", figure)
        except Exception as error:
            self.journal.message(f"warning: the curves could not be drawn: {reason(error)}")

    def summary(self) -> dict[str, Any]:
        """Tell what came of it."""
        best = self.trainer.best["step"] if self.trainer.best else None
        rows = [row for row in self.run_directory.read_metrics() if row["step"] == best]
        val = {k: v for row in rows for k, v in row.items() if k.startswith("val/")}
        return {"run": str(self.run_directory.path), "step": self.trainer.step, "best": self.trainer.best, **val}


def quoted(path: Path | str) -> str:
    """Write a path as a shell takes it."""
    return shlex.quote(str(path))
