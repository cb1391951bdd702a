"""`dlx train`: a config to a run directory, from the start or from where it stopped."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from dlx.assembly.restore import Loaded
from dlx.commands.session import Session, quoted
from dlx.config import shipped, spec
from dlx.config.values import Spec
from dlx.errors import UsageError, dotted, printable, shown
from dlx.storage import checkpoint, contents, naming
from dlx.storage.plugins import given_to
from dlx.storage.run import Run

if TYPE_CHECKING:
    from dlx.assembly.plan import Plan

# What a resumed run may change without becoming another experiment.
MAY_CHANGE_ON_RESUME = (
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
    config: str | Mapping[str, Any],
    overrides: list[str],
    *,
    name: str | None,
    resume: bool,
    runs: Path,
    quiet: bool = False,
    trust: bool = False,
) -> dict[str, Any]:
    """Train and give a summary; raises DlxError, and InterruptedBySignalError after a signal.

    `config` is a file, a run to resume, the name of a config that comes with dlx, or a mapping of the same sections.
    `trust` lets a run made elsewhere, resumed by its name alone, read and fetch what its config names.
    """
    path, described = _describe(config, overrides, name, resume, runs)
    from dlx.assembly.experiment import prepare, restored  # torch loads only once the config's structure is sound
    from dlx.assembly.trainer import build_trainer

    if resume and path.exists():
        described.plugins = given_to(path)
    found = checkpoint.newest_valid(path / "checkpoints", contents.refuse_unresumable)[0] if resume and path.exists() else None
    if found:
        # By a config of the user's own the user has said what may be read; by a run's, its maker has.
        earlier, trusted = Loaded(found, contents.read(found)), trust or not _is_folder(config)
        trained_on = earlier.trained_on()
        built = restored(described, trained_on, lambda plan: _approve(plan, path, earlier, trusted))
        trained_on.refuse_changed(built.source, f"data '{built.plan.data.name}'")
        trained_on.refuse_other_references(built.references)
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
    if changed := [key for key in differences(old, plan.resolved()) if not key.startswith(MAY_CHANGE_ON_RESUME)]:
        raise UsageError(f"{run}: to resume, the experiment must stay as it was; changed: {'; '.join(changed)}")
    earlier.approve(plan, trusted)


def _is_folder(config: str | Mapping[str, Any]) -> bool:
    return isinstance(config, str) and Path(config).is_dir()


def read(config: str | Mapping[str, Any], overrides: list[str]) -> Spec:
    """Read a config and its overrides, whatever it is given as."""
    if isinstance(config, str):
        return spec.load(shipped.located(config), overrides)
    return spec.given(config, overrides)


def _describe(
    config: str | Mapping[str, Any], overrides: list[str], name: str | None, resume: bool, runs: Path
) -> tuple[Path, Spec]:
    """Find the run's path and its spec: of a config, or of the run named in its place."""
    if resume and overrides and "=" not in overrides[0] and Path(overrides[0]).is_dir():
        path, overrides = Path(overrides[0]), overrides[1:]
        return path, read(config, overrides)
    if isinstance(config, str) and Path(config).is_dir():
        if not (Path(config) / "config.yaml").is_file():
            raise UsageError(f"{config} is a folder, and no run: it has no config.yaml")
        if not resume:
            raise UsageError(f"{config} is a run already; to go on with it: dlx train {quoted(config)} --resume")
        return Path(config), spec.load(Path(config) / "config.yaml", overrides)
    described = read(config, overrides)
    return runs / _name(described, config if isinstance(config, str) else "", name, runs), described


def _name(described: Spec, config: str, name: str | None, runs: Path) -> str:
    """Choose the run's name: the one given, else the config file's; raises UsageError before anything is built."""
    given = name if name is not None else described.values.get("name")
    if given is None and not config:
        raise UsageError("a config that is no file has no name of its own: give the run one (name)")
    chosen = Path(config).stem if given is None else given
    new = naming.fault(chosen) is not None or not os.path.lexists(runs / chosen)  # one that is there was lawful once
    if new and (fault := naming.fault_of_new(chosen, runs)):
        if given is not None:
            raise UsageError(f"{described.place(('name',))} name: {fault}, not {shown(chosen)}")
        raise UsageError(f"{printable(config)}: the run would be named {shown(chosen)}: {fault}; give another by --name")
    return chosen


def differences(old: Any, new: Any, path: tuple = ()) -> list[str]:
    """List the keys whose values differ between two resolved configs, as `key (old -> new)`."""
    if isinstance(old, dict) and isinstance(new, dict):
        keys = list(dict.fromkeys([*old, *new]))
        return [d for key in keys for d in differences(old.get(key), new.get(key), (*path, key))]
    same = json.loads(json.dumps(old)) == json.loads(json.dumps(new))  # 0 is 0.0, a tuple is a list
    return [] if same else [f"{dotted(path)} ({old!r} -> {new!r})"]
