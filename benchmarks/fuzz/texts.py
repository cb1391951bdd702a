"""Fuzzed readers of text: configs, overrides, tables, lists of images."""

from __future__ import annotations

import gzip
import io
import random
from pathlib import Path
from typing import Any

from fuzz.reader import ROOT, Case, Reader, written

SYNTAX = (b": ", b"- ", b"[", b"]", b"{", b"}", b"&a ", b"*a", b"!!python/object:os.system ", b"<<: *a\n", b"|\n", b"'", b'"',
          b"name: ", b"extends: x.yaml\n", b"? ", b"#", b"\t", b"~", b".nan", b"!!binary ", b"---\n", b"%YAML 9\n")  # fmt: skip
CELLS = (b",", b";", b'"', b'""', b"\n", b"\r", b"nan", b"1e999", b",,,,", b"None", b"\xc3", b" ", b"=1+1", b"0.0", b"\n\n")


class Yaml(Reader):
    """A config file, and the text of one as a checkpoint keeps it."""

    words = (*SYNTAX, *Reader.words)

    def good(self) -> list[Case]:
        files = [Case(file.name, file.read_bytes()) for file in sorted((ROOT / "configs").rglob("*.yaml"))]
        return [case for case in files if b"extends" not in case.content and b"$DLX_" not in case.content]

    def read(self, case: Case, scratch: Path) -> Any:
        from dlx.config import spec

        if b"extends" not in case.content:  # a user's own config may extend any file
            spec.load(written(case, scratch))
        spec.parse(case.content.decode(errors="surrogateescape"), "x.yaml", [])


class Plan(Yaml):
    """A config held against the registries."""

    def good(self) -> list[Case]:
        given = (b"path: ", b"train: ", b"file: ", b"weights: ")  # files that are not there
        return [case for case in super().good() if not any(key in case.content for key in given)]

    def read(self, case: Case, scratch: Path) -> Any:
        from dlx.assembly import planner
        from dlx.config import spec

        planner.plan(spec.parse(case.content.decode(errors="replace"), "x.yaml", []))


class Override(Reader):
    """A `key=value` of the command line."""

    words = (*SYNTAX, b"=", b"+", b"~", b".", b"[0]", b"[999999]", b"model.layers", *Reader.words)
    BASE = "task: classification\ndata: iris\nmodel: {name: mlp, hidden: [4, 4]}\nepochs: 1\n"

    def good(self) -> list[Case]:
        texts = ["epochs=2", "+seed=1", "~epochs", "model.hidden[0]=8", "data={name: wine, batch_size: 4}", "+model.hidden=3"]
        return [Case("override", text.encode()) for text in texts]

    def read(self, case: Case, scratch: Path) -> Any:
        from dlx.config import spec

        spec.parse(self.BASE, "x.yaml", [case.content.decode(errors="surrogateescape")])


def table(draw: random.Random, rows: int) -> bytes:
    """Make a small table with numbers, words and two classes."""
    lines = ["size,weight,colour,kind"]
    for _ in range(rows):
        lines.append(f"{draw.gauss(0, 1):.4g},{draw.randint(0, 99)},{draw.choice(['red', 'blue'])},{draw.choice(['a', 'b'])}")
    return "\n".join(lines).encode() + b"\n"


class Csv(Reader):
    """A table to train on, plain or gzipped."""

    words = (*CELLS, *Reader.words)

    def good(self) -> list[Case]:
        plain = [Case("x.csv", table(random.Random(seed), 30)) for seed in range(3)]
        headless = Case("x.csv", plain[0].content.partition(b"\n")[2])
        return [*plain, headless, Case("x.csv.gz", gzip.compress(plain[0].content, mtime=0))]

    def change(self, draw: random.Random, case: Case) -> Case:
        if case.name.endswith(".gz") and draw.random() < 0.5:  # whole outside, hostile within
            inner = super().change(draw, Case("x.csv", gzip.decompress(case.content)))
            return Case(case.name, gzip.compress(inner.content, 1, mtime=0))
        return super().change(draw, case)

    def read(self, case: Case, scratch: Path) -> Any:
        from dlx.registry import sources

        choices = {"train": written(case, scratch), "target": -1}
        source = sources.build("csv", choices, {"seed": 0, "task_target": "class"})
        return infinite(next(source.evaluate(None, "train")))


class Rows(Csv):
    """A table to predict."""

    def good(self) -> list[Case]:
        from dlx.registry import sources

        file = written(Case("train.csv", table(random.Random(9), 60)), self.folder)
        choices = {"train": file, "target": "kind"}
        self.processor = sources.build("csv", choices, {"seed": 0, "task_target": "class"}).processor
        return super().good()

    def read(self, case: Case, scratch: Path) -> Any:
        return infinite(self.processor.encode(list(self.processor.read([written(case, scratch)]))))


class ImageList(Csv):
    """A CSV file that lists images."""

    words = (b"train", b"valid", b"../", b"a.png", b",,", *CELLS, *Reader.words)

    def good(self) -> list[Case]:
        from PIL import Image

        made = io.BytesIO()
        Image.new("RGB", (4, 4), "red").save(made, "PNG")
        self.image = made.getvalue()
        kinds = ["a,train", "b,train"] * 3 + ["a,val", "b,test"]
        lines = ["file,label,split", *(f"{n}.png,{kind}" for n, kind in enumerate(kinds))]
        return [Case("list.csv", "\n".join(lines).encode())]

    def read(self, case: Case, scratch: Path) -> Any:
        from dlx.registry import sources

        for n in range(8):
            (scratch / f"{n}.png").write_bytes(self.image + bytes([n]))
        choices = {"path": written(case, scratch), "image_size": 4, "cache": str(scratch / "cache")}
        sources.build("image_csv", choices, {"seed": 0})


def infinite(batch: Any) -> str | None:
    """Find numbers that are none, which no batch may hold."""
    names = [name for name, values in batch.items() if values.is_floating_point() and not values.isfinite().all()]
    return f"a batch whose {names[0]} is not finite" if names else None
