"""What contests of speed share: contestants in turn, round by round, in processes of their own; medians, and paired ratios.

A machine may be busy at any moment. What runs beside each other in time meets the same disturbances, so that ratios are taken
round by round, and the median of them counts, with the least and the most beside it.
"""

from __future__ import annotations

import json
import os
import resource
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any


def machine(*packages: str) -> str:
    """Tell what the numbers depend on: versions, cores, and how busy the machine is."""
    parts = [f"{package} {version(package)}" for package in packages]
    return ", ".join([*parts, f"{os.cpu_count()} cores", f"load {os.getloadavg()[0]:.1f}"])


FIND = "import importlib.util as u, sys; print(*(name for name in sys.argv[1:] if u.find_spec(name) is None))"


def present(names: Iterable[str], needs: Mapping[str, Sequence[str]], *, python: str = sys.executable) -> list[str]:
    """Keep the contestants whose packages an interpreter has, and tell of every other in a line."""
    found = []
    for name in names:
        absent = subprocess.check_output([python, "-c", FIND, *needs.get(name, ())], text=True).split()
        if absent:
            print(f"{name}: left out, {' and '.join(absent)} not installed (pip install -e '.[bench]')", flush=True)
        else:
            found.append(name)
    return found


def child(script: str, *arguments: Any, settings: Mapping[str, str] | None = None, python: str = sys.executable) -> Any:
    """Run a script in a process of its own, under more environment variables, and read the JSON of its last line."""
    command = [python, script, *map(str, arguments)]
    done = subprocess.run(command, capture_output=True, text=True, env=os.environ | dict(settings or {}))
    if done.returncode:
        raise SystemExit(f"{' '.join(command)} failed:\n{done.stderr}")
    return json.loads(done.stdout.splitlines()[-1])


class Clock:
    """Steps a second between two moments; and, a step, processor seconds and pages of memory asked of the system."""

    def read(self) -> tuple[float, float, int]:
        """Read the clocks."""
        return time.perf_counter(), time.process_time(), resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    def start(self) -> None:
        """Begin the timed steps."""
        self.begun = self.read()

    def stop(self, steps: int) -> dict[str, float]:
        """End them."""
        seconds, work, pages = (now - then for now, then in zip(self.read(), self.begun, strict=True))
        return {"rate": steps / seconds, "work": work / steps, "pages": pages / steps}


def train(experiment: Any, watch: Callable[[int, Mapping[str, Any]], None]) -> None:
    """Train as `dlx train` does, in a run that is deleted afterwards; `watch` is told every line of the log."""
    from dlx.assembly.trainer import build_trainer
    from dlx.commands.session import Session
    from dlx.core import Logger
    from dlx.engine.journal import Journal
    from dlx.storage.run import Run

    class Watch(Logger):
        def log(self, step, scalars):
            watch(step, scalars)

    trainer = build_trainer(experiment)
    with tempfile.TemporaryDirectory() as folder, Run.create(Path(folder), "run", exact=True) as run:
        session = Session(run, experiment, trainer, experiment.plan.resolved(), True, quiet=True)
        session.prepare()
        trainer.fit(Journal([*session.journal.loggers, Watch()]), session)
        session.journal.close()


def timed(experiment: Any, begin: int, end: int, count: int | None = None) -> dict[str, float]:
    """Train as `dlx train` does, and read the clocks between two steps that are logged, each a `count`th (a step) of it."""
    clock, found = Clock(), dict[str, float]()

    def watch(step: int, scalars: Mapping[str, Any]) -> None:
        if step == begin:
            clock.start()
        elif step == end:
            found.update(clock.stop(count or end - begin))

    train(experiment, watch)
    return found | {"parameters": float(sum(p.numel() for p in experiment.task.model.parameters()))}


def in_turn(
    names: Sequence[str],
    rounds: int,
    run: Callable[[str], Any],
    *,
    after: Callable[[dict], None] | None = None,
    swap: bool = False,
) -> dict[str, list[Any]]:
    """Run every contestant once a round, and gather what it gives; `swap` turns the order around in every second round.

    `after` is told what is gathered at the end of every round.
    """
    found: dict[str, list[Any]] = {name: [] for name in names}
    for number in range(rounds):
        for name in names[::-1] if swap and number % 2 else names:
            found[name].append(run(name))
        if after:
            after(found)
    return found


def paired(ours: Sequence[float], theirs: Sequence[float]) -> list[float]:
    """Divide ours by theirs, round by round."""
    return [a / b for a, b in zip(ours, theirs, strict=True)]


def spread(values: Sequence[float], form: str = ".2f") -> str:
    """Write the median of values, the least and the most."""
    return f"{statistics.median(values):{form}} ({min(values):{form}} to {max(values):{form}})"


def table(
    rates: Mapping[str, Sequence[float]],
    form: str = "8.0f",
    more: Mapping[str, Mapping[str, str]] | None = None,
    ours: str = "dlx",
) -> None:
    """Print the contestants' rates, what else is told of each, and by how much ours, dlx, is faster."""
    columns = more or {}
    heads = "".join(f" {heading:>8}" for heading in columns)
    print(f"{'':10} {'median':>8} {'least':>8} {'most':>8}{heads}   {ours} is faster by")
    for name, row in rates.items():
        numbers = " ".join(f"{value:{form}}" for value in (statistics.median(row), min(row), max(row)))
        others = "".join(f" {column[name]}" for column in columns.values())
        print(f"{name:10} {numbers}{others}   {spread(paired(rates.get(ours, row), row))}", flush=True)
