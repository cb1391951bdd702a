"""The measures of docs/design.md: how much stands where, how long it is, and what nobody may do."""

import ast
import importlib
import re
import sys
import traceback
from pathlib import Path

import pytest
from torch import nn

ROOT = Path(__file__).parents[1]
SOURCE = ROOT / "src" / "dlx"
FILES = sorted(SOURCE.rglob("*.py"))
MOST_LINES, MOST_PARAMETERS, MOST_ENTRIES, MOST_FRAMES, MOST_IGNORED = 300, 12, 21, 12, 15
# Where `getattr` and `hasattr` are asked of what is no component: types, torch's and torchvision's objects, the system.
FOREIGN = {
    "__init__.py", "commands/signals.py", "data/image/torchvision_arrays.py", "data/image/torchvision_files.py",
    "data/shipped.py", "engine/lean.py", "models/torchvision_weights.py", "registry/registry.py",
    "registry/signatures.py", "storage/files.py", "storage/run.py",
}  # fmt: skip


def place(file):
    return file.relative_to(SOURCE).as_posix()


def test_the_top_shows_the_plan_at_a_glance():
    entries = [entry.name for entry in SOURCE.iterdir() if not entry.name.startswith("__")]
    assert len(entries) <= MOST_ENTRIES, sorted(entries)


@pytest.mark.parametrize("folder", ["src", "tests", "benchmarks"])
def test_no_module_is_too_long(folder):
    lengths = {str(file): len(file.read_text().splitlines()) for file in (ROOT / folder).rglob("*.py")}
    limit = MOST_LINES if folder != "tests" else 500
    assert not {file: length for file, length in lengths.items() if length > limit}


def test_no_signature_is_too_long():
    found = {}
    for file in FILES:
        for node in ast.walk(ast.parse(file.read_text())):
            if isinstance(node, ast.FunctionDef):
                given = node.args
                names = [a.arg for a in (*given.posonlyargs, *given.args, *given.kwonlyargs) if a.arg not in ("self", "cls")]
                if len(names) > MOST_PARAMETERS:
                    found[f"{place(file)}:{node.lineno} {node.name}"] = len(names)
    assert not found


def test_nothing_is_probed_for_what_it_has():
    asking = {place(file) for file in FILES if re.search(r"\b(hasattr|getattr)\(", file.read_text())}
    assert asking <= FOREIGN, f"declare what is asked (core/model.py): {sorted(asking - FOREIGN)}"
    assert asking >= FOREIGN, f"no longer needed: {sorted(FOREIGN - asking)}"


def test_types_have_few_exceptions_each_with_its_code():
    ignored = [line for file in FILES for line in file.read_text().splitlines() if "type: ignore" in line]
    assert len(ignored) <= MOST_IGNORED
    assert all(re.search(r"type: ignore\[[\w-]+\]", line) for line in ignored)


def test_few_frames_lie_between_the_command_line_and_the_model(tmp_path, monkeypatch):
    from dlx.cli import app

    depths = {}
    forward = nn.Linear.forward

    def watched(self, input):
        names = [f for f in traceback.extract_stack() if Path(f.filename).is_relative_to(SOURCE)]
        steps = {place(Path(f.filename)) for f in names}
        kind = "training" if "engine/step.py" in steps else "evaluating" if "engine/evaluator.py" in steps else "building"
        depths[kind] = max(depths.get(kind, 0), len(names))
        return forward(self, input)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(nn.Linear, "forward", watched)
    monkeypatch.setattr(sys, "argv", ["dlx", "train", "iris_mlp", "epochs=1"])
    app(standalone_mode=False)
    # `dlx.cli.main` is the one frame that is not seen here.
    assert depths["training"] + 1 <= MOST_FRAMES
    assert depths["evaluating"] + 1 <= MOST_FRAMES


@pytest.mark.parametrize("file", sorted((ROOT / "benchmarks").rglob("*.py")), ids=lambda file: file.stem)
def test_a_benchmark_names_what_there_is(file):
    """They are run by hand: a name that has moved would be found out too late."""
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.ImportFrom) and (node.module or "").split(".")[0] == "dlx":
            module = importlib.import_module(node.module)
            for alias in node.names:
                if not hasattr(module, alias.name):
                    importlib.import_module(f"{node.module}.{alias.name}")
