"""Fuzz every reader of dlx: good inputs, changed at random, must end in a value or in one message.

Every input is tried in a process that is bounded in time and memory and watched: an exception that is not dlx's own, a message
that says nothing, a crash, a hang, a number that is none, a file touched outside the scratch folder, a process or connection
started is a finding. Input N of a reader follows from the seed and N alone, so `--start N --inputs 1` tries it again.

    python benchmarks/fuzz_readers.py [--inputs 10000] [--reader yaml csv ...] [--seed 0] [--start 0] [--keep FOLDER]

Prints the inputs and the findings of every reader, one of a kind, cut down to what is needed; exits with 1 on any.
"""

from __future__ import annotations

import argparse
import base64
import json
import os
import select
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fuzz.trial import READERS, kind_of
from fuzz.trial import main as try_inputs

PATIENCE = 600.0  # seconds without a line after which a process is killed: its own bound has failed then


@dataclass
class Fuzzing:
    """The inputs of one reader, tried by processes one after the other: one that dies or hangs is a finding too."""

    name: str
    seed: int
    seconds: float
    work: Path

    def run(self, start: int, end: int) -> list[dict[str, Any]]:
        """Try the inputs, and give what was found, the first of every kind."""
        findings: list[dict[str, Any]] = []
        while start < end:
            start = self.process(start, end, findings) + 1
        first = {kind_of(found["wrong"]): found for found in reversed(findings)}
        return sorted(first.values(), key=lambda found: found["number"])

    def process(self, start: int, end: int, findings: list[dict[str, Any]]) -> int:
        """Run one process until it ends, and tell the last input that it tried."""
        command = [sys.executable, __file__, "--child", self.name, "--seed", self.seed, "--seconds", self.seconds]
        command += ["--start", start, "--inputs", end - start, "--work", self.work]
        command = list(map(str, command))
        home = str(self.work / "home")
        settings = os.environ | {
            "HOME": home,
            "XDG_CACHE_HOME": home,
            "TMPDIR": home,
            "TORCHINDUCTOR_CACHE_DIR": home,
            "OMP_NUM_THREADS": "1",
        }
        number, errors = start - 1, self.work / "errors"
        with errors.open("wb") as told:
            process = subprocess.Popen(
                list(map(str, command)), stdout=subprocess.PIPE, stderr=told, env=settings, cwd=self.work
            )
            for answer in answers(process):
                if isinstance(answer, dict):
                    findings.append(answer)
                number = answer if isinstance(answer, int) else number
                if answer == "done":
                    return end
        last = errors.read_text(errors="replace")
        if number < start:
            raise SystemExit(f"{self.name} cannot begin:\n{last}")
        content = base64.b64encode((self.work / "current").read_bytes()).decode()
        how = f"the process ends with {process.wait()}"
        findings.append({"number": number, "wrong": f"{how}: {last.strip()[-300:]}", "name": "current", "content": content})
        return number


def answers(process: subprocess.Popen) -> Iterator[Any]:
    """Yield a process's answers; kill it where none comes for too long."""
    assert process.stdout
    pending = b""
    with process.stdout as lines:
        while select.select([lines], [], [], PATIENCE)[0]:
            if not (read := os.read(lines.fileno(), 1 << 16)):
                break  # it has ended
            *whole, pending = (pending + read).split(b"\n")
            yield from map(json.loads, whole)
        else:
            process.kill()
    process.wait()


def fuzz(name: str, given: argparse.Namespace) -> int:
    """Try one reader's inputs, print what is found, and count the kinds."""
    with tempfile.TemporaryDirectory(prefix="dlx-fuzz-", ignore_cleanup_errors=True) as folder:
        work = Path(folder).resolve()
        for inner in ("seeds", "home", "neighbour"):
            (work / inner).mkdir()
        (work / "neighbour" / "secret").write_text("nobody reads this\n")
        findings = Fuzzing(name, given.seed, given.seconds, work).run(given.start, given.start + given.inputs)
    print(f"{name}: {given.inputs:,} inputs, {len(findings)} kinds of findings", flush=True)
    for found in findings:
        tell(name, found, given.keep)
    return len(findings)


def tell(reader: str, found: dict[str, Any], keep: Path | None) -> None:
    """Print a finding, and keep its input."""
    content = base64.b64decode(found["content"])
    print(f"  input {found['number']} ({found['name']}): {found['wrong']}")
    print(f"    {content[:200]!r}{'...' if content[200:] else ''}", flush=True)
    if keep:
        keep.mkdir(parents=True, exist_ok=True)
        (keep / f"{reader}-{found['number']}-{found['name']}").write_bytes(content)


def main() -> None:
    """Fuzz the readers named, or, as a child, try inputs."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--inputs", type=int, default=10_000, help="of each reader")
    parser.add_argument("--reader", nargs="+", choices=list(READERS), default=list(READERS))
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--start", type=int, default=0, help="number of the first input")
    parser.add_argument("--seconds", type=float, default=10.0, help="that an input may take")
    parser.add_argument("--keep", type=Path, help="folder for the inputs found")
    parser.add_argument("--child", choices=list(READERS), help=argparse.SUPPRESS)
    parser.add_argument("--work", type=Path, help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.child:
        try_inputs(given.child, given.work, given.seed, given.seconds, range(given.start, given.start + given.inputs))
        return
    sys.exit(sum(fuzz(name, given) for name in given.reader) > 0)


if __name__ == "__main__":
    main()
