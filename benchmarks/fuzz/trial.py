"""The process that tries inputs: bounded and watched, it tells line by line what it begins and what it finds."""

from __future__ import annotations

import base64
import importlib
import json
import os
import random
import shutil
import tempfile
import time
from pathlib import Path
from typing import Any

from fuzz.guard import Watch, attempt, bound_memory
from fuzz.mutations import shrink
from fuzz.reader import Case, Reader

READERS = {
    "yaml": "texts.Yaml", "override": "texts.Override", "plan": "texts.Plan", "csv": "texts.Csv", "rows": "texts.Rows",
    "image_list": "texts.ImageList", "images": "images.Images", "archives": "images.Archives", "idx": "images.Idx",
    "sounds": "sounds.Sounds", "sound_list": "sounds.SoundList", "checkpoint": "records.Checkpoints", "damage": "records.Damaged",
    "weights": "records.Weights", "run": "records.Runs",
}  # fmt: skip
SHRINKING = 5.0  # seconds, about, that cutting down an input may take
MEMORY = 1 << 30  # bytes that a reader may ask for beyond what it has before the first input


def kind_of(wrong: str) -> str:
    """Tell findings of one kind by the exception and its place."""
    return wrong.partition(": ")[0]


class Trial:
    """One reader's inputs, tried in this process."""

    def __init__(self, name: str, work: Path, seed: int, seconds: float) -> None:
        module, _, kind = READERS[name].partition(".")
        seeds = Path(tempfile.mkdtemp(dir=work / "seeds"))
        self.scratch, self.current = work / "scratch", work / "current"
        self.reader: Reader = getattr(importlib.import_module(f"fuzz.{module}"), kind)(seeds)
        self.name, self.seed, self.seconds, self.kinds = name, seed, seconds, set[str]()
        self.count = 0
        self.see_good()
        self.watch = Watch([self.scratch, work / "home"], work / "neighbour" / "secret")
        bound_memory(MEMORY)

    def see_good(self) -> None:
        """See that the good inputs are read: changes of what is refused anyway would find nothing."""
        for case in self.reader.seeds:
            if wrong := self.reader.read(case, self.fresh()):
                raise SystemExit(f"a good input {case.name}: {wrong}")

    def fresh(self) -> Path:
        """Make an empty folder; a name is never used twice, for threads may still write into the one before."""
        shutil.rmtree(self.scratch / str(self.count), ignore_errors=True)
        self.count += 1
        made = self.scratch / str(self.count)
        made.mkdir(parents=True)
        return made

    def wrong(self, case: Case) -> str:
        """Try an input, and say what is wrong with what comes of it."""
        scratch = self.fresh()
        return attempt(lambda: self.reader.read(case, scratch), self.watch, self.seconds) or ""

    def input(self, number: int) -> dict[str, Any] | None:
        """Try an input by its number; give what is found, cut down, unless its kind was found before."""
        draw = random.Random(f"{self.seed} {self.name} {number}")
        case = self.reader.change(draw, draw.choice(self.reader.seeds))
        self.current.write_bytes(case.content)
        begun = time.monotonic()
        wrong = self.wrong(case)
        kind, tries = kind_of(wrong), int(SHRINKING / max(0.01, time.monotonic() - begun))
        if not wrong or kind in self.kinds:
            return None
        self.kinds.add(kind)
        small = shrink(case.content, lambda content: kind_of(self.wrong(Case(case.name, content))) == kind, tries)
        return {"number": number, "wrong": wrong, "name": case.name, "content": base64.b64encode(small).decode()}


def main(name: str, work: Path, seed: int, seconds: float, numbers: range) -> None:
    """Try inputs, and write a line of JSON before and, where something is found, after each."""
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(os.open(os.devnull, os.O_WRONLY), 1)  # what readers print is no answer
    trial = Trial(name, work, seed, seconds)
    for number in numbers:
        answers.write(f"{number}\n")
        if found := trial.input(number):
            answers.write(json.dumps(found) + "\n")
    answers.write('"done"\n')
