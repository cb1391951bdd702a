"""Kill training at random moments, resume it, and compare with a training that was left alone, byte for byte.

    python benchmarks/kill_resume.py [CONFIG] [--kills 20] [--seed 0] [--keep FOLDER] [--fork]

CONFIG is any experiment of some seconds; a small network on the digits without it. With `--fork` the processes are forked from
this one, which has imported what they need: on a busy machine that saves most of the time, and nothing but the imports.

Every round starts the same experiment in a new folder of runs, sends it SIGKILL, goes on with `--resume`, often kills that
too, and lets the last process finish. The moments are spread over a process's whole life: while it starts, between the
making of the run's directory and the first checkpoint, at any time of training, and in the middle of saves. The final
weights, the optimizer's state, what `best` points to and every line of metrics.jsonl (but the clock) must be the same.
Exits with 1 on any difference.
"""

from __future__ import annotations

import argparse
import importlib
import json
import multiprocessing
import os
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import ClassVar

CONFIG = """\
task: classification
data: {name: digits, form: row, batch_size: 32}
model:
  name: sequential
  layers:
    - dense: {size: 64, activation: relu}
    - batch_norm
    - dropout: 0.3
    - dense: num_classes
optimizer: {name: adam, lr: 0.01, weight_decay: 0.0001}
schedule: {name: cosine, warmup: 20}
epochs: 20
trainer: {accumulate: 2, ema: 0.95, clip_norm: 1.0, save_every: 7, log_every: 5, keep: 2}
"""
NAME = "run"


def be_dlx(arguments: list[str], errors: int) -> None:
    """Be `dlx` in a process that was forked, its messages written to a file."""
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
    os.dup2(errors, 2)
    from dlx.cli import main

    sys.argv = ["dlx", *arguments]
    main()


class Forked:
    """A forked process of `dlx`, spoken to as one that was started anew."""

    def __init__(self, arguments: list[str], errors: int) -> None:
        self.process = multiprocessing.get_context("fork").Process(target=be_dlx, args=(arguments, errors))
        self.process.start()

    def poll(self) -> int | None:
        """Tell the code that it ended with, if it has."""
        return self.process.exitcode

    def kill(self) -> None:
        """Send SIGKILL."""
        self.process.kill()

    def wait(self) -> int:
        """Wait for its end, and tell its code."""
        self.process.join()
        return self.process.exitcode or 0


class Training:
    """One process of `dlx train`, begun or resumed in a folder of runs."""

    forks: ClassVar[bool] = False

    def __init__(self, folder: Path, resume: bool) -> None:
        self.run, self.begun = folder / "runs" / NAME, time.monotonic()
        arguments = ["train", str(folder.parent / "config.yaml"), "--name", NAME]
        arguments += ["--runs", str(folder / "runs"), *(["--resume"] if resume else [])]
        self.errors = (folder / "stderr.txt").open("ab")
        self.process: Forked | subprocess.Popen[bytes]
        if self.forks:
            self.process = Forked(arguments, self.errors.fileno())
        else:
            command = [sys.executable, "-m", "dlx", *arguments]
            self.process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=self.errors)

    def written(self) -> int:
        """Tell the size of metrics.jsonl."""
        path = self.run / "metrics.jsonl"
        return path.stat().st_size if path.exists() else 0

    def until(self, condition: Callable[[], bool], pause: float = 0.0005) -> None:
        """Wait for a condition, or the process's end."""
        while self.process.poll() is None and not condition():
            time.sleep(pause)

    def kill(self) -> str:
        """Send SIGKILL and tell when it came."""
        alive = self.process.poll() is None
        self.process.kill()
        self.finish()
        return f"{time.monotonic() - self.begun:.2f} s, {self.place()}" if alive else "had ended"

    def place(self) -> str:
        """Tell how far training was: the newest checkpoint, and a save that was under way."""
        names = sorted(p.name for p in (self.run / "checkpoints").glob("step-*")) if self.run.exists() else []
        partial = [p.name for p in (self.run / "checkpoints").glob(".*")] if self.run.exists() else []
        stage = names[-1] if names else "no checkpoint" if self.run.exists() else "no run directory"
        return stage + "".join(f" + {name}" for name in partial)

    def finish(self) -> int:
        """Wait for the process's end."""
        code = self.process.wait()
        self.errors.close()
        return code


def while_starting(training: Training, draw: random.Random, start: float, size: int) -> None:
    """Any time before the first new line."""
    delay, before = draw.uniform(0, start), training.written()
    training.until(lambda: time.monotonic() - training.begun > delay or training.written() > before)


def while_making(training: Training, draw: random.Random, start: float, size: int) -> None:
    """Some milliseconds from the making of the run's directory on, or, of a resumed run, from taking it."""
    lock = training.run / ".lock"
    before = lock.stat().st_mtime_ns if lock.exists() else 0
    training.until(lambda: lock.exists() and lock.stat().st_mtime_ns > before if before else training.run.exists(), 0)
    time.sleep(draw.choice([0, 0.0002, 0.001, 0.003, 0.01, 0.03]))


def while_training(training: Training, draw: random.Random, start: float, size: int) -> None:
    """Some milliseconds after any of the lines that are left to be written."""
    target = draw.randint(min(training.written(), size - 1), size - 1)
    training.until(lambda: training.written() > target)
    time.sleep(draw.uniform(0, 0.04))


def while_saving(training: Training, draw: random.Random, start: float, size: int) -> None:
    """When a checkpoint is half written, replaced or removed."""
    target = draw.randint(min(training.written(), size * 9 // 10), size * 9 // 10)
    training.until(lambda: training.written() > target)
    folder = training.run / "checkpoints"
    training.until(lambda: any(name.startswith(".") for name in os.listdir(folder)), 0)
    time.sleep(draw.choice([0, 0, 0.0005, 0.002]))


MOMENTS = (while_training, while_saving, while_starting, while_making)
CLOCK = ("seconds", "train/waiting")  # readings of it, which differ from run to run


def fingerprint(run: Path) -> dict[str, bytes]:
    """Read all that must be the same: the lines but for the clock, and the checkpoints' tensors."""
    lines = [json.loads(line) for line in (run / "metrics.jsonl").read_text().splitlines()]
    found = {"metrics.jsonl": json.dumps([{k: v for k, v in line.items() if k not in CLOCK} for line in lines]).encode()}
    for name in ("last", "best"):
        folder = run / "checkpoints" / name
        found |= {f"{name} step": folder.resolve().name.encode()}
        found |= {f"{name}/{file.name}": file.read_bytes() for file in sorted(folder.glob("*.safetensors"))}
    state = json.loads((run / "checkpoints" / "last" / "state.json").read_text())
    found["last/state.json"] = json.dumps({k: v for k, v in state.items() if k not in CLOCK}).encode()
    found["status"] = json.loads((run / "status.json").read_text())["state"].encode()
    found["left behind"] = json.dumps(sorted(p.name for p in (run / "checkpoints").iterdir())).encode()
    return found


def round_of_kills(folder: Path, moment: Callable, draw: random.Random, start: float, size: int) -> list[str]:
    """Train with one kill at a moment, and up to two more of any kind; tell when they came."""
    folder.mkdir()
    kills: list[str] = []
    for resume, chosen in enumerate([moment, *draw.choices(MOMENTS, k=draw.choice([0, 0, 1, 2]))]):
        training = Training(folder, bool(resume))
        chosen(training, draw, start, size)
        kills.append(training.kill())
    code = Training(folder, True).finish()
    if code:
        kills.append(f"EXIT {code}: {(folder / 'stderr.txt').read_text().strip().splitlines()[-1]}")
    return kills


def main() -> None:
    """Run the rounds and print a table."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("config", nargs="?", type=Path, help="the experiment (default: a small one)")
    parser.add_argument("--kills", type=int, default=20, help="rounds")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--keep", type=Path, help="folder to work in, and to leave for inspection")
    parser.add_argument("--fork", action="store_true", help="import once, and fork every process")
    options = parser.parse_args()
    Training.forks = options.fork
    if options.fork:
        for module in ("dlx.commands.train", "dlx.assembly.trainer"):
            importlib.import_module(module)
    work = options.keep or Path(tempfile.mkdtemp(prefix="kill_resume"))
    work.mkdir(parents=True, exist_ok=True)
    (work / "config.yaml").write_text(f"extends: {json.dumps(str(options.config.absolute()))}\n" if options.config else CONFIG)
    (work / "alone").mkdir()
    training = Training(work / "alone", False)
    training.until(lambda: training.written() > 0)
    start = time.monotonic() - training.begun
    if code := training.finish():
        sys.exit(f"training ended with {code}: {(work / 'alone' / 'stderr.txt').read_text()}")
    size = training.written()
    wanted = fingerprint(training.run)
    lines = len((training.run / "metrics.jsonl").read_text().splitlines())
    print(
        f"left alone: first of {lines} lines after {start:.1f} s, end after {time.monotonic() - training.begun:.1f} s",
        flush=True,
    )
    draw, failures = random.Random(options.seed), 0
    for number in range(options.kills):
        moment, folder = MOMENTS[number % len(MOMENTS)], work / f"round-{number:02}"
        kills = round_of_kills(folder, moment, draw, start, size)
        different = ["no end"] if "EXIT" in kills[-1] else []
        if not different:
            found = fingerprint(folder / "runs" / NAME)
            different = [key for key in wanted | found if found.get(key) != wanted.get(key)]
        failures += bool(different)
        outcome = f"DIFFERENT: {', '.join(different)}" if different else "the same"
        print(f"{number + 1:3} {moment.__name__:15} {outcome:10} killed at {'; '.join(kills)}", flush=True)
        if not different and not options.keep:
            shutil.rmtree(folder)
    print(f"{options.kills} rounds, {failures} with a difference" + (f"; see {work}" if failures or options.keep else ""))
    if not failures and not options.keep:
        shutil.rmtree(work)
    sys.exit(bool(failures))


if __name__ == "__main__":
    main()
