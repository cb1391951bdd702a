"""The arrows of docs/design.md: which room of dlx may import which, and which families stay apart."""

import ast
from functools import cache
from pathlib import Path

import pytest

SOURCE = Path(__file__).parents[1] / "src" / "dlx"

# For every room the rooms it may import. All may use errors and storage.files; a room's own modules are open to it.
ALLOWED = {
    "errors": set(),
    "core": set(),
    "config": {"storage"},
    "registry": set(),
    "pictures": set(),
    "storage": {"dlx"},
    "engine": {"core", "storage"},
    "layers": {"registry", "storage"},
    "augmentation": {"registry"},
    "optimizers": {"registry"},
    "schedules": {"core", "registry"},
    "processors": {"core", "registry", "pictures"},
    "tasks": {"core", "registry", "pictures"},
    "metrics": {"core", "registry", "pictures"},
    "loggers": {"core", "registry", "storage"},
    "models": {"registry", "layers", "storage"},
    "data": {"dlx", "core", "registry", "processors", "augmentation"},
    "assembly": {"core", "config", "registry", "engine", "storage", "optimizers", "schedules", "processors"},
    "commands": {"assembly", "config", "core", "engine", "pictures", "registry", "storage"},
    "testing": {"augmentation", "core", "layers", "registry", "storage"},
    "cli": {"dlx", "commands", "config"},
    "__main__": {"cli"},
}
OPEN = ("dlx.errors", "dlx.storage.files")
# Within a kind a family never imports another; what lies beside the families, and what they share, is open to all.
SHARED = {("processors", "csv")}
KINDS = ("data", "processors", "models", "tasks", "metrics")
KNOW_NO_TASK = ("engine", "assembly")


@cache
def imports(file: Path) -> frozenset[str]:
    """List the modules of dlx that a file imports, wherever in it."""
    found = set()
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.module:
            found |= {f"{node.module}.{alias.name}" for alias in node.names}
    return frozenset(name for name in found if name.split(".")[0] == "dlx")


def room(module: str) -> str:
    """Name the room of a module: its first folder, or the module itself; `dlx` for what dlx itself says."""
    parts = module.split(".")
    inside = len(parts) > 1 and ((SOURCE / parts[1]).is_dir() or (SOURCE / f"{parts[1]}.py").is_file())
    return parts[1] if inside else "dlx"


def own(file: Path) -> str:
    return file.relative_to(SOURCE).parts[0].removesuffix(".py")


FILES = sorted(file for file in SOURCE.rglob("*.py") if own(file) != "__init__")


def arrows(file: Path) -> set[str]:
    return {room(name) for name in imports(file) if not name.startswith(OPEN)} - {own(file)}


@pytest.mark.parametrize("file", FILES, ids=lambda f: str(f.relative_to(SOURCE)))
def test_a_file_imports_only_what_its_room_may(file):
    assert arrows(file) <= ALLOWED[own(file)]


@pytest.mark.parametrize("place", sorted(ALLOWED))
def test_every_allowed_arrow_is_used(place):
    assert set().union(*(arrows(file) for file in FILES if own(file) == place)) == ALLOWED[place]


def test_there_is_no_circle():
    left = {place: set(targets) for place, targets in ALLOWED.items()}
    while free := [place for place, targets in left.items() if not targets & left.keys()]:
        for place in free:
            del left[place]
    assert not left


@pytest.mark.parametrize("file", [f for f in FILES if own(f) in KINDS], ids=lambda f: str(f.relative_to(SOURCE)))
def test_a_family_imports_no_other(file):
    kind, *rest = file.relative_to(SOURCE).parts
    family = rest[0] if len(rest) > 1 else None
    for name in imports(file):
        parts = name.split(".")
        if len(parts) > 3 and parts[1] == kind and (SOURCE / kind / parts[2]).is_dir() and (kind, parts[2]) not in SHARED:
            assert family in (None, parts[2]) or (kind, family) in SHARED, name


@pytest.mark.parametrize("place", KNOW_NO_TASK)
def test_the_general_parts_name_no_task(place):
    from dlx import registry

    tasks = set(registry.tasks.names())
    for file in (SOURCE / place).rglob("*.py"):
        tree = ast.parse(file.read_text())
        strings = {node.value for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)}
        names = {node.id.lower() for node in ast.walk(tree) if isinstance(node, ast.Name)}
        assert not (strings | names) & tasks, file
