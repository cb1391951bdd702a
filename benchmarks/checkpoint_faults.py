"""Prove by hand that no failing system call costs a checkpoint: `python benchmarks/checkpoint_faults.py` (Linux, strace).

A child process saves over an old checkpoint. A clean run lists every system call on files between two marks; then each
one in turn fails with ENOSPC, fails with EIO, or is where the child is killed. After each: the old or the new checkpoint
must be found with exactly its bytes; a child that was not killed must have told of the failure in one line or have
finished everything; tidying up must lose nothing; and the next save must succeed.
"""

from __future__ import annotations

import argparse
import collections
import concurrent.futures
import random
import re
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import NamedTuple

SOURCE = Path(__file__).resolve().parents[1] / "src"
sys.path.insert(0, str(SOURCE))

from dlx.storage import checkpoint  # noqa: E402

OLD = {"model.safetensors": b"old" * 1000, "optimizer.safetensors": b"o" * 5000, "state.json": b'{"step": 1}\n'}
NEW = {"model.safetensors": b"new" * 1000, "optimizer.safetensors": b"n" * 5000, "state.json": b'{"step": 2}\n'}
EXTRA = {"config.yaml": b"seed: 0\n", "facts.json": b"{}\n", "processor.json": b"{}\n"}
OLD, NEW = {**OLD, **EXTRA}, {**NEW, **EXTRA}
FIRST, SECOND = checkpoint.step_name(1), checkpoint.step_name(2)

# What the child does, and how the directory stands before and, if nothing fails, after it.
SCENARIOS = {
    "next": f"write(folder / {SECOND!r}, NEW); point(folder, 'last', folder / {SECOND!r}); remove(folder / {FIRST!r})",
    "same": f"write(folder / {FIRST!r}, NEW); point(folder, 'last', folder / {FIRST!r})",
    "tidy": "sweep(folder)",
}
CHILD = """
import os, sys
sys.path.insert(0, {source!r})
from pathlib import Path
from dlx.storage.checkpoint import point, remove, sweep, write
from dlx.errors import DlxError
NEW, folder = {new!r}, Path(sys.argv[1])
os.access("/dlx-begins", 0)
try:
    {action}
except DlxError as error:
    sys.exit(f"error: {{error}}")
os.access("/dlx-ends", 0)
"""
KINDS = {"ENOSPC": "error=ENOSPC", "EIO": "error=EIO", "kill": "signal=SIGKILL"}
CHANGES = {"fsync", "write", "mkdir", "rename", "symlink", "unlinkat", "rmdir"}  # their errors must never be swallowed
MEMORY = {"mmap", "munmap", "mremap", "mprotect"}  # these run out of memory, not out of disk


class Injection(NamedTuple):
    """One fault: the n-th call of a system call fails or is the last."""

    scenario: str
    call: str
    number: int
    kind: str


def prepare(folder: Path, scenario: str) -> None:
    """Make the directory as it stands before the child starts."""
    folder.mkdir()
    checkpoint.write(folder / FIRST, OLD)
    checkpoint.point(folder, "last", folder / FIRST)
    if scenario == "tidy":  # a replacement was killed between its two renames, and a removal before its end
        (folder / FIRST).rename(folder / f".{FIRST}.replaced")
        checkpoint.write(folder / "step-00000000", OLD)
        (folder / "step-00000000").rename(folder / ".step-00000000.removed")
        (folder / f".{SECOND}.partial").mkdir()
        (folder / f".{SECOND}.partial" / "model.safetensors").write_bytes(NEW["model.safetensors"])


def run_child(folder: Path, scenario: str, *inject: str) -> tuple[subprocess.CompletedProcess[str], list[str]]:
    """Run the child under strace; gives how it ended and the lines of the trace."""
    log = folder.with_suffix(".strace")
    code = CHILD.format(source=str(SOURCE), new=NEW, action=SCENARIOS[scenario])
    # A cache of its own, so that no other process's compiling shifts the numbers of the calls.
    python = [sys.executable, "-I", "-S", "-X", f"pycache_prefix={folder.parent / 'cache'}", "-c", code, str(folder)]
    strace = ["strace", "-o", str(log), "-e", "trace=%file,%desc", *inject]
    done = subprocess.run([*strace, *python], capture_output=True, text=True, timeout=60)
    return done, log.read_text().splitlines()


def calls(lines: Iterable[str]) -> dict[str, list[int]]:
    """List for each system call the numbers of its calls between the marks, counted from the child's start."""
    counts: collections.Counter[str] = collections.Counter()
    between: dict[str, list[int]] = {}
    inside = False
    for line in lines:
        if not (match := re.match(r"(\w+)\(", line)):
            continue
        counts[match[1]] += 1
        if "/dlx-begins" in line or "/dlx-ends" in line:
            inside = "/dlx-begins" in line
        elif inside and match[1] not in MEMORY:
            between.setdefault(match[1], []).append(counts[match[1]])
    return between


def injections(folder: Path) -> list[Injection]:
    """List all faults, from a clean run of every scenario."""
    found = []
    for scenario in SCENARIOS:
        for attempt in ("warm", "clean"):  # the first run fills the cache
            place = folder / f"{scenario}-{attempt}"
            prepare(place, scenario)
            done, lines = run_child(place, scenario)
            if done.returncode:
                raise RuntimeError(done.stderr)
        found += [
            Injection(scenario, call, number, kind)
            for call, numbers in calls(lines).items()
            for number in numbers
            for kind in KINDS
        ]
    return found


def content(path: Path | None) -> str:
    """Say which checkpoint this is."""
    files = checkpoint.read(path) if path else None
    return "old" if files == OLD else "new" if files == NEW else "none"


def try_fault(folder: Path, fault: Injection) -> tuple[str, str]:
    """Run one fault; gives the checkpoint found after it (old, new, none) and what is bad, if anything."""
    place = folder / "-".join(map(str, fault))
    prepare(place, fault.scenario)
    done, lines = run_child(place, fault.scenario, "-e", f"inject={fault.call}:{KINDS[fault.kind]}:when={fault.number}")
    killed = done.returncode in (-9, 137)
    inside = any("/dlx-begins" in line for line in lines) and not any("/dlx-begins" in line for line in lines[-1:])
    hit = inside and (killed if fault.kind == "kill" else any("(INJECTED)" in line for line in lines))
    found, bad = judge(place, fault.scenario, done, killed) if hit else ("none", "the fault was not injected")
    if fault.call in CHANGES and done.returncode == 0:
        bad = bad or "the child swallowed the error"
    shutil.rmtree(place)
    place.with_suffix(".strace").unlink()
    return found, bad


def judge(place: Path, scenario: str, done: subprocess.CompletedProcess[str], killed: bool) -> tuple[str, str]:
    """Examine what a fault left behind."""
    try:
        path, complaints = checkpoint.newest_valid(place)
        found = content(path)
        finished = {"next": [(SECOND, "new")], "same": [(FIRST, "new")], "tidy": [(FIRST, "old")]}[scenario]
        if found == "none" or complaints:
            return "none", f"found {path}, {complaints}"
        if done.returncode == 0 and [(p.name, content(p)) for p in checkpoint.steps(place)] != finished:
            return found, f"the child finished, but there is {checkpoint.steps(place)}"
        if not killed and done.returncode and not re.fullmatch(r"error: cannot [^\n]+\n", done.stderr):
            return found, f"exit code {done.returncode}: {done.stderr!r}"
        return found, restart(place, found)
    except Exception as error:
        return "none", repr(error)


def restart(place: Path, found: str) -> str:
    """Tidy up and save again, as the next start does; gives what is bad, if anything."""
    checkpoint.sweep(place)
    after = content(checkpoint.newest_valid(place)[0])
    hidden = [path.name for path in place.iterdir() if path.name.startswith(".")]
    if (found, after) not in {("old", "old"), ("new", "new"), ("old", "new")} or hidden:
        return f"tidying made {after} of {found} and left {hidden}"
    if content(checkpoint.pointed(place, "last")) == "none":
        return "last points nowhere"
    checkpoint.write(place / SECOND, NEW)
    return "" if content(checkpoint.newest_valid(place)[0]) == "new" else "the next save was lost"


def try_all(folder: Path, faults: list[Injection], tell: Callable[[str], None]) -> list[tuple[Injection, str, str]]:
    """Run faults, two at a time."""
    results = []
    with concurrent.futures.ThreadPoolExecutor(2) as pool:
        for fault, (found, bad) in zip(faults, pool.map(lambda fault: try_fault(folder, fault), faults), strict=True):
            results.append((fault, found, bad))
            if bad:
                tell(f"BAD {fault}: {bad}")
    return results


def main() -> int:
    """Try all faults, or a random sample of them, and print a table."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("--sample", type=int, default=0, help="try only this many faults, drawn at random")
    sample = parser.parse_args().sample
    start = time.perf_counter()
    with tempfile.TemporaryDirectory() as temporary:
        faults = injections(Path(temporary))
        faults = random.Random(0).sample(faults, sample) if sample else faults
        results = try_all(Path(temporary), faults, print)
    print(f"{'system call':<12}{'calls':>7}{'faults':>8}{'old':>6}{'new':>6}{'none':>6}{'bad':>5}")
    names = sorted({fault.call for fault in faults})
    for name in [*names, "all"]:
        rows = [row for row in results if name in ("all", row[0].call)]
        found = collections.Counter(row[1] for row in rows)
        places = len({row[0][:3] for row in rows})
        bad = sum(bool(row[2]) for row in rows)
        print(f"{name:<12}{places:>7}{len(rows):>8}{found['old']:>6}{found['new']:>6}{found['none']:>6}{bad:>5}")
    print(f"{time.perf_counter() - start:.0f} s")
    return int(any(row[2] for row in results))


if __name__ == "__main__":
    sys.exit(main())
