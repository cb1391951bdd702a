"""Fuzzed readers of what dlx itself wrote, as others may hand it on: checkpoints, weights, runs."""

from __future__ import annotations

import io
import math
import random
import shutil
from pathlib import Path
from typing import Any

from fuzz.mutations import edit_json, mutate
from fuzz.reader import Case, Reader, written

CONFIG = """
task: classification
data: {name: iris, batch_size: 16}
model: {name: mlp, hidden: [4]}
epochs: 1
"""


def trained(folder: Path) -> Path:
    """Train a small network into a run, and give its folder."""
    from dlx.commands.train import train

    config = folder / "small.yaml"
    config.write_text(CONFIG)
    return Path(train(str(config), [], name="small", resume=False, runs=folder / "runs", quiet=True)["run"])


def edit_header(draw: random.Random, content: bytes) -> bytes:
    """Change the header of a safetensors file, and keep its length right."""
    size = int.from_bytes(content[:8], "little")
    header = edit_json(draw, content[8 : 8 + size])
    return len(header).to_bytes(8, "little") + header + content[8 + size :]


def forged(draw: random.Random, case: Case, words: tuple[bytes, ...]) -> bytes:
    """Change a file so that it often keeps its form."""
    if draw.random() < 0.3:
        return mutate(draw, case.content, words, [case.content])
    if case.name.endswith(".json"):
        return edit_json(draw, case.content)
    if case.name.endswith(".safetensors"):
        return edit_header(draw, case.content)
    return mutate(draw, case.content, words, [case.content])


class Checkpoints(Reader):
    """A checkpoint whose checksums are those of its hostile content, as `dlx predict` reads it."""

    def good(self) -> list[Case]:
        from dlx.storage import checkpoint

        run = trained(self.folder)
        newest, _ = checkpoint.newest_valid(run / "checkpoints")
        assert newest
        self.files = checkpoint.read(newest)
        return [Case(name, content) for name, content in self.files.items() if not name.startswith(("optimizer", "training"))]

    def change(self, draw: random.Random, case: Case) -> Case:
        return Case(case.name, forged(draw, case, self.words))

    def read(self, case: Case, scratch: Path) -> Any:
        from dlx.commands.predict import predict
        from dlx.storage import checkpoint

        folder = checkpoint.write(scratch / "step-00000001", {**self.files, case.name: case.content})
        answers = list(predict(str(folder), ["5.1,3.5,1.4,0.2"], []))
        return strange(answers)


class Damaged(Checkpoints):
    """A checkpoint with a damaged file: nothing but the bytes that were written is read."""

    def good(self) -> list[Case]:
        from dlx.storage import checkpoint

        found = super().good()
        return [*found, Case(checkpoint.MANIFEST, checkpoint.manifest(self.files))]

    def read(self, case: Case, scratch: Path) -> Any:
        from dlx.storage import checkpoint

        folder = checkpoint.write(scratch / "step-00000001", self.files)
        same = (folder / case.name).read_bytes() == case.content
        (folder / case.name).write_bytes(case.content)
        found = checkpoint.read(folder)
        return None if same or found == self.files else "damage that is not noticed"


class Weights(Reader):
    """A file of weights into a model."""

    def good(self) -> list[Case]:
        import safetensors.torch
        import torch

        self.wanted = {"0.weight": torch.ones(3, 4), "0.bias": torch.ones(3), "2.weight": torch.ones(2, 3)}
        cases = [Case("x.safetensors", safetensors.torch.save(self.wanted))]
        for legacy in (True, False):
            made = io.BytesIO()
            torch.save(self.wanted, made, _use_new_zipfile_serialization=not legacy)
            cases.append(Case("x.pt", made.getvalue()))
        return cases

    def change(self, draw: random.Random, case: Case) -> Case:
        return Case(case.name, forged(draw, case, self.words))

    def read(self, case: Case, scratch: Path) -> Any:
        import torch

        from dlx.storage import weights

        wanted = {name: torch.zeros_like(tensor) for name, tensor in self.wanted.items()}
        weights.load(wanted, weights.read(written(case, scratch)))


class Runs(Reader):
    """What a run notes of itself, as `dlx show` reads it."""

    def good(self) -> list[Case]:
        self.run = trained(self.folder)
        shutil.rmtree(self.run / "checkpoints")
        return [Case(name, (self.run / name).read_bytes()) for name in ("status.json", "metrics.jsonl")]

    def change(self, draw: random.Random, case: Case) -> Case:
        if case.name == "status.json":
            return Case(case.name, forged(draw, case, self.words))
        lines = case.content.splitlines()
        place = draw.randrange(len(lines))
        lines[place] = forged(draw, Case("x.json", lines[place]), self.words)
        return Case(case.name, b"\n".join(lines) + b"\n")

    def read(self, case: Case, scratch: Path) -> Any:
        from dlx.commands.show import show

        shutil.copytree(self.run, scratch / "run")
        (scratch / "run" / case.name).write_bytes(case.content)
        show(str(scratch / "run"), [])


def strange(answers: list[dict[str, Any]]) -> str | None:
    """Find an answer that is no finite number."""
    values = [value for answer in answers for value in answer.values()]
    values += [inner for value in values if isinstance(value, dict) for inner in value.values()]
    wrong = [value for value in values if isinstance(value, float) and not math.isfinite(value)]
    return f"an answer that is {wrong[0]}" if wrong else None
