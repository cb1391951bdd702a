"""`dlx train`: a config to a run directory, from the start or from where it stopped."""

from __future__ import annotations

import contextlib
import json
import logging
import os
import shlex
import signal
import stat
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.assembly.restore import Loaded
from dlx.config import spec
from dlx.errors import DlxError, Interrupted, UsageError, dotted, printable, shown
from dlx.storage import checkpoint, contents, naming
from dlx.storage.failures import reason, told
from dlx.storage.machine import environment
from dlx.storage.plugins import given_to
from dlx.storage.run import Run

if TYPE_CHECKING:
    from dlx.assembly.experiment import Experiment
    from dlx.assembly.plan import Plan
    from dlx.engine.trainer import Trainer

HANGUP: int | None = getattr(signal, "SIGHUP", None)  # Windows has none

log = logging.getLogger("dlx")

# What a resumed run may change without becoming another experiment.
FREE = (
    "name",
    "epochs",
    "steps",
    "device",
    "loggers",
    "trainer.log_every",
    "trainer.save_every",
    "trainer.keep",
    "trainer.early_stopping",
)


def train(
    config: str,
    overrides: list[str],
    *,
    name: str | None,
    resume: bool,
    runs: Path,
    quiet: bool = False,
    trust: bool = False,
) -> dict[str, Any]:
    """Train and give a summary; raises DlxError, and Interrupted after a signal.

    `trust` lets a run made elsewhere, resumed by its name alone, read and fetch what its config names.
    """
    path, described = _describe(config, overrides, name, resume, runs)
    from dlx.assembly.experiment import prepare  # torch loads only once the config's structure is sound
    from dlx.assembly.trainer import build_trainer

    if resume and path.exists():
        described.plugins = given_to(path)
    found = checkpoint.newest_valid(path / "checkpoints", contents.refuse_unresumable)[0] if resume and path.exists() else None
    if found:
        # By a config of the user's own the user has said what may be read; by a run's, its maker has.
        earlier, trusted = Loaded(found, contents.read(found)), trust or not Path(config).is_dir()
        trained_on = earlier.trained_on()
        built = earlier.experiment(described, trained_on, lambda plan: _approve(plan, path, earlier, trusted))
        trained_on.refuse_changed(built.source, f"data '{built.plan.data.name}'")
    else:
        built = prepare(described)
    trainer = build_trainer(built)
    with described.telling():
        trainer.rehearse()  # before there is a run: a fault leaves nothing behind
    is_new = not (resume and path.exists())
    exact = name is not None or described.values.get("name") is not None or resume
    with Run.create(path.parent, path.name, exact=exact) if is_new else Run.open(path) as run:
        resolved = replace(built.plan, name=_kept_name(run.path)).resolved()
        return Session(run, built, trainer, resolved, is_new, quiet).run()


def _kept_name(path: Path) -> str | None:
    """Give the name that a run's config keeps: its folder's, unless nobody may give such a name (`.` has its parent's)."""
    name = os.path.basename(os.path.abspath(path))
    return None if naming.fault(name) else name


def _approve(plan: Plan, run: Path, earlier: Loaded, trusted: bool) -> None:
    """Refuse to go on with another experiment than a run's, and what a stranger's run may not ask for."""
    old = earlier.spec([]).values
    if changed := [key for key in differences(old, plan.resolved()) if not key.startswith(FREE)]:
        raise UsageError(f"{run}: to resume, the experiment must stay as it was; changed: {'; '.join(changed)}")
    earlier.approve(plan, trusted)


def _describe(config: str, overrides: list[str], name: str | None, resume: bool, runs: Path) -> tuple[Path, spec.Spec]:
    """Find the run's path and its spec: of a config, or of the run named in its place."""
    if resume and overrides and "=" not in overrides[0] and Path(overrides[0]).is_dir():
        path, overrides = Path(overrides[0]), overrides[1:]
        return path, spec.load(config, overrides)
    if Path(config).is_dir():
        if not (Path(config) / "config.yaml").is_file():
            raise UsageError(f"{config} is a folder, and no run: it has no config.yaml")
        if not resume:
            raise UsageError(f"{config} is a run already; to go on with it: dlx train {quoted(config)} --resume")
        return Path(config), spec.load(Path(config) / "config.yaml", overrides)
    described = spec.load(config, overrides)
    return runs / _name(described, config, name, runs), described


def _name(described: spec.Spec, config: str, name: str | None, runs: Path) -> str:
    """Choose the run's name: the one given, else the config file's; raises UsageError before anything is built."""
    given = name if name is not None else described.values.get("name")
    chosen = Path(config).stem if given is None else given
    new = naming.fault(chosen) is not None or not os.path.lexists(runs / chosen)  # one that is there was lawful once
    if new and (fault := naming.fault_of_new(chosen, runs)):
        if given is not None:
            raise UsageError(f"{described.place(('name',))} name: {fault}, not {shown(chosen)}")
        raise UsageError(f"{printable(config)}: the run would be named {shown(chosen)}: {fault}; give another by --name")
    return chosen


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
        facts = {**built.facts, "digests": dict(source.digests)}
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
                self.fit()
        finally:
            self.journal.close()
            self.trainer.source.close()
        return self.summary()

    def fit(self) -> None:
        """Train from where everything stands now to an end with a status."""
        run, trainer = self.run_directory, self.trainer
        try:
            run.write_status("running", step=trainer.step)
            trainer.fit(self.journal, self)
        except (Interrupted, KeyboardInterrupt) as error:
            self.conclude("interrupted", signal.Signals(getattr(error, "signal", signal.SIGINT)).name)
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


@contextlib.contextmanager
def stop_signals() -> Iterator[list[int]]:
    """Collect SIGINT, SIGTERM and SIGHUP for the trainer to see between steps; a second SIGINT stops at once."""
    received: list[int] = []

    def note(number: int, frame: Any) -> None:
        if received and number == signal.SIGINT:
            raise KeyboardInterrupt
        if number == HANGUP:
            _leave_terminal()
        received.append(number)

    before = {number: signal.signal(number, note) for number in _heeded()}
    try:
        yield received
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _heeded() -> list[int]:
    """List the signals that stop training; nohup has asked that a hang-up does not."""
    hangup = [HANGUP] if HANGUP is not None and signal.getsignal(HANGUP) != signal.SIG_IGN else []
    return [signal.SIGINT, signal.SIGTERM, *hangup]


def _leave_terminal() -> None:
    """Let what is written to a terminal that has gone go nowhere, so that the last checkpoint is not lost to an error."""
    for descriptor in (1, 2):
        with contextlib.suppress(OSError):
            if stat.S_ISCHR(os.fstat(descriptor).st_mode) and not os.isatty(descriptor):
                os.dup2(os.open(os.devnull, os.O_WRONLY), descriptor)


def quoted(path: Path | str) -> str:
    """Write a path as a shell takes it."""
    return shlex.quote(str(path))


def differences(old: Any, new: Any, path: tuple = ()) -> list[str]:
    """List the keys whose values differ between two resolved configs, as `key (old -> new)`."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = list(dict.fromkeys([*old, *new]))
        return [d for key in keys for d in differences(old.get(key), new.get(key), (*path, key))]
    same = json.loads(json.dumps(old)) == json.loads(json.dumps(new))  # 0 is 0.0, a tuple is a list
    return [] if same else [f"{dotted(path)} ({old!r} -> {new!r})"]
