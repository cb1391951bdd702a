"""The arrows of docs/design.md: who may import whom inside dlx."""

import ast
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "dlx"

# For every room, the rooms it may import; a room's own modules are always open to it.
ALLOWED = {
    "errors": set(),
    "files": set(),
    "failures": set(),
    "naming": {"errors"},
    "manifest": {"errors"},
    "contents": {"manifest", "processors"},
    "locating": {"checkpoint", "contents", "manifest", "errors"},
    "records": {"checkpoint", "errors"},
    "yaml_reader": {"errors"},
    "sections": {"naming", "errors"},
    "written": {"sections", "errors"},
    "spec": {"sections", "written", "yaml_reader", "errors"},
    "signatures": {"errors"},
    "types": {"errors"},
    "registry": {"signatures", "types", "errors"},
    "machine": {"dlx"},
    "seal": set(),
    "scratch": set(),
    "kept": {"core", "errors"},
    "planning": {"types", "device", "errors", "optimizers", "registry", "schedules", "signatures", "trainer", "written"},
    "notation": {"registry", "signatures", "errors"},
    "augmentation": {"signatures", "types", "registry", "notation", "errors"},
    "weights": {"errors"},
    "trained": {
        *("contents", "core", "errors", "locating", "manifest", "planning", "processors", "registry", "snapshot", "spec"),
        "weights",
    },
    "features": {"core", "data", "evaluator", "device", "errors"},
    "core": {"errors"},
    "explain": {"errors"},
    "checkpoint": {"manifest", "errors"},
    "run": {"checkpoint", "locating", "machine", "naming", "records", "errors"},
    "device": {"errors", "machine"},
    "snapshot": {"errors"},
    "plots": {"errors"},
    "pictures": set(),
    "waiting": {"core"},
    "ema": set(),
    "evaluator": {"core", "device", "errors"},
    "rehearsal": {"core", "device", "errors", "evaluator"},
    "step": {"core", "device", "errors"},
    "trainer": {"core", "device", "ema", "errors", "evaluator", "rehearsal", "step", "waiting"},
    "saver": {"checkpoint", "core", "seal", "snapshot", "trainer", "yaml_reader", "errors", "run"},
    "build": {
        *(
            "core",
            "device",
            "errors",
            "evaluator",
            "features",
            "kept",
            "optimizers",
            "planning",
            "registry",
            "schedules",
            "written",
        ),
        *("trained", "trainer"),
    },
    "models": {"signatures", "types", "registry", "layers", "weights", "errors"},
    "layers": {"signatures", "types", "registry", "notation", "errors"},
    "tasks": {"core", "registry", "errors", "pictures"},
    "data": {"signatures", "types", "augmentation", "core", "registry", "processors", "errors"},
    "processors": {"signatures", "types", "core", "registry", "errors"},
    "metrics": {"signatures", "types", "core", "registry", "errors", "plots"},
    "optimizers": {"signatures", "types", "registry", "errors"},
    "schedules": {"core", "registry", "errors"},
    "loggers": {"core", "registry", "errors", "run"},
}
KNOW_NO_TASK = ("trainer.py", "step.py", "evaluator.py", "build.py", "planning.py")


def imports(file: Path) -> set[str]:
    """List the rooms of dlx that a file imports, wherever in it."""
    rooms = set()
    for node in ast.walk(ast.parse(file.read_text())):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom) and node.module:
            names = [f"{node.module}.{alias.name}" for alias in node.names] if node.module == "dlx" else [node.module]
        for name in names:
            parts = name.split(".")
            if parts[0] == "dlx":
                rooms.add(parts[1] if len(parts) > 1 and not parts[1].startswith("_") else "dlx")
    return rooms


def room(file: Path) -> str:
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


FILES = sorted(f for f in SOURCE.rglob("*.py") if room(f) in ALLOWED)


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(SOURCE)))
def test_a_file_imports_only_what_its_room_may(file):
    assert imports(file) - {room(file), "files", "failures"} <= ALLOWED[room(file)]


def test_every_room_has_its_arrows():
    rooms = {room(f) for f in SOURCE.rglob("*.py")}
    assert rooms - set(ALLOWED) == {"__init__", "__main__", "cli", "commands"}


@pytest.mark.parametrize("name", KNOW_NO_TASK)
def test_the_general_parts_name_no_task(name):
    from dlx import registry

    tree = ast.parse((SOURCE / name).read_text())
    strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
    assert not strings & set(registry.tasks.names())
    names = {node.id.lower() for node in ast.walk(tree) if isinstance(node, ast.Name)}
    assert not names & set(registry.tasks.names())
