"""`dlx show`: a component's signature, a config with its defaults, or a run as tables."""

from __future__ import annotations

import json
import logging
import re
from pathlib import Path
from typing import Any

from dlx.commands.listing import NOT_FROM_DATA
from dlx.config import shipped, spec
from dlx.errors import DlxError, UsageError, brief, meant, nearest, one_line
from dlx.storage import files

log = logging.getLogger("dlx")


def show(what: str, overrides: list[str]) -> str:
    """Tell about a name of a registry, a config file or a run."""
    path = Path(what)
    if path.is_file() or shipped.find(what):
        return show_config(shipped.located(what), overrides)
    if overrides:
        raise UsageError(f"only a config takes overrides such as {overrides[0]}, and {what} is no file")
    for run in (path, Path("runs") / what):
        if (run / "config.yaml").is_file():
            return show_run(run)
    if path.suffix in (".yaml", ".yml"):  # no torch is needed to say so
        raise UsageError(f"{what}: no such file")
    return show_name(what)


def show_config(file: str, overrides: list[str]) -> str:
    """Write a config out with all that it extends, overrides and leaves to defaults."""
    described = spec.load(file, overrides)
    from dlx.assembly import planner
    from dlx.config import yaml_reader

    return yaml_reader.dump(planner.plan(described).resolved()).rstrip()


def show_name(name: str) -> str:
    """Write every component of a name: what it is, the facts it needs, the choices it takes."""
    from dlx import registry

    found = [r for r in registry.REGISTRIES.values() if name in r.names()]
    if not found:
        near = meant(nearest(name, sorted({n for r in registry.REGISTRIES.values() for n in r.names()})))
        raise UsageError(f"{name}: no file, no run, and no component has that name{near and '; ' + near}")
    return "\n\n".join("\n".join(_component(r, name)) for r in found)


def _component(kind: Any, name: str) -> list[str]:
    from dlx.assembly.planner import OPTIONS
    from dlx.registry.signatures import REQUIRED, describe

    wanted = kind.signatures[name]
    choices = {**wanted.choices, **(OPTIONS[kind.kind].choices if kind.kind in OPTIONS else {})}
    lines = [f"{kind.kind} {name}", ""]
    about = re.split(r"\n\n *(?:Args:|\.\. math)", kind.about(name))[0]
    lines += [f"  {line}".rstrip() for line in about.splitlines()[:14]]
    facts = [p.name for p in wanted.facts.values() if p.name not in NOT_FROM_DATA]
    if facts:
        lines += ["", f"  facts    {', '.join(facts)}"]
    lines += [""] if choices else []
    width = max([len(n) for n in choices] + [0])
    for p in choices.values():
        default = "required" if p.default is REQUIRED else f"default {json.dumps(p.default, default=str)}"
        lines.append(f"  {p.name:{width}}  {describe(p.annotation)}; {default}")
    return lines


def show_run(path: Path) -> str:
    """Write how a run stands, its best evaluations and its last lines; and draw its curves anew."""
    from dlx.storage.records import read_metrics, read_status

    status = read_status(path)
    rows = read_metrics(path)
    # While a run goes on, its status is still that of the beginning.
    step = max([status.get("step", 0), *(row["step"] for row in rows[-1:])])
    lines = [f"run {path}: {_state(path, status)}, step {step}"]
    if status.get("reason"):
        lines.append(status["reason"])
    if best := status.get("best"):
        lines.append(f"best val/{best['name']} {brief(best['value'], 4)} at step {best['step']}")
    evaluated = [row for row in rows if any(key.startswith("val/") for key in row)] or rows
    if evaluated:
        lines += ["", *_columns(_thin(evaluated, 12))]
        lines += _draw(path, rows, best)
    if columns := _inputs(path):
        lines += ["", *columns]
    return "\n".join(lines)


def _state(path: Path, status: dict[str, Any]) -> str:
    """Say how a run stands: one that says it is running may have been killed."""
    from dlx.storage.records import is_gone

    state = status.get("state", "not begun")
    return f"{state} (process {status['pid']} is gone: it was killed)" if is_gone(path, status) else state


def _inputs(path: Path) -> list[str]:
    """Say what the model reads; a checkpoint that cannot be read takes nothing from the numbers."""
    from dlx.commands.describing import inputs_of_run

    try:
        return inputs_of_run(path)
    except DlxError as error:
        log.warning("warning: %s", error)
        return []


def _draw(path: Path, rows: list[dict[str, Any]], best: dict[str, Any] | None) -> list[str]:
    """Draw the curves into the run's plots, where they can be written, and say where."""
    from dlx.storage.failures import optional

    file = path / "plots" / "curves.png"
    with optional(str(file)):
        from dlx.pictures.figures import curves

        if (figure := curves(rows, best)) is not None:
            files.make_folder(file.parent)
            files.save_picture(figure, file)
            return ["", f"wrote {file}"]
    return []


def _thin(rows: list[Any], most: int) -> list[Any]:
    if len(rows) <= most:
        return rows
    return [rows[round(i * (len(rows) - 1) / (most - 1))] for i in range(most)]


def _columns(rows: list[dict[str, Any]]) -> list[str]:
    names = [n for n in dict.fromkeys(key for row in rows for key in row) if n not in ("seconds", "train/waiting")]
    cells = [[one_line(name) for name in names]] + [[_cell(row.get(name)) for name in names] for row in rows]
    widths = [max(len(line[i]) for line in cells) for i in range(len(names))]
    return ["  ".join(f"{cell:>{width}}" for cell, width in zip(line, widths, strict=True)) for line in cells]


def _cell(value: Any) -> str:
    if value is None:
        return ""
    return str(value) if isinstance(value, int) else brief(value)
