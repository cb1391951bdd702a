"""`dlx eval`: a checkpoint's numbers on a split, beside the honest baseline."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from dlx.assembly.restore import load
from dlx.commands.stopwatch import Stopwatch, made
from dlx.errors import UsageError, brief, one_line
from dlx.storage import files
from dlx.storage.failures import optional
from dlx.storage.locating import run_of
from dlx.storage.naming import file_name


def evaluate(path: str, overrides: list[str], split: str, trust: bool = False) -> dict[str, Any]:
    """Evaluate and give numbers, baseline, what a scripted policy of its environment achieves, and the files of the pictures.

    The checkpoint's own processor encodes; of the data only the split asked for is read, and the training split where a
    metric compares with it. `trust` lets a checkpoint made elsewhere read and fetch what its config names.
    """
    loaded = load(path)
    described = loaded.spec(overrides)
    from dlx.assembly.experiment import reads_training, restored
    from dlx.engine import evaluator
    from dlx.engine.actor import Actor

    trained_on = loaded.trained_on({split, *(["train"] if reads_training(described) else [])})
    built = restored(described, trained_on, lambda plan: loaded.approve(plan, trust))
    loaded.fill(built.task)
    if split not in built.source.splits():
        raise UsageError(f"the data has no split '{split}'; it has {', '.join(built.source.splits())}")
    trained_on.tell_changed(built.source, split, f"data '{built.plan.data.name}'")
    batches, task = watched(built.source.evaluate(Actor(built.task, built.device), split)), built.task
    duration, watch = built.source.duration(split), Stopwatch()

    def show(batch: Any, prediction: Any) -> Any:
        if duration is None:
            return task.show_eval(batch, prediction)
        made(prediction)
        with watch.pause():
            return task.show_eval(batch, prediction)

    try:
        found = evaluator.evaluate(task, batches, closer(built), built.device, built.seed, show=show, with_baseline=True)
        taken = watch.seconds()
        run = run_of(loaded.path)
        films = [] if run is None else filmed(built.source, run, split)
        scripted = by_script(built, split)  # last, since films are of the last evaluation
    finally:
        built.source.close()
    state = loaded.json("state.json")
    return {
        "checkpoint": str(loaded.path),
        "step": state["step"],
        "split": split,
        **{f"{split}/{k}": v for k, v in found.scalars.items()},
        **{f"baseline/{k}": v for k, v in found.baseline.items()},
        **{f"scripted/{k}": v for k, v in scripted.items()},
        **({"real_time_factor": taken / duration} if duration else {}),
        "pictures": draw(found, loaded.path, split) + films,
        "tables": tables(found),
        "signatures": [signature for metric in found.metrics if (signature := metric.signature())],
    }


def filmed(source: Any, run: Path, split: str) -> list[str]:
    """Save films of an evaluation in the plots of a run; give their files. What cannot be filmed is told."""
    from dlx.commands.playing import moving

    written = list[str]()
    with optional("a film"):
        for name, film in source.films(split):
            files.make_folder(run / "plots")
            file = run / "plots" / f"{split}_{name}.png"
            files.save_picture(moving(film), file)
            written.append(str(file))
    return written


def by_script(built: Any, split: str) -> dict[str, float]:
    """Compute what the scripted policy of an environment achieves in the episodes of a split; nothing where there is none."""
    if (act := built.source.expert()) is None:
        return {}
    metrics = closer(built)()
    for batch in built.source.evaluate(act, split):
        metrics = [metric for metric in metrics if metric.reads <= batch.keys()]  # what batches tell of the episodes
        for metric in metrics:
            metric.update(batch, batch)
    return {name: value for metric in metrics for name, value in metric.compute().items()}


def watched(batches: Iterable[Any]) -> Iterable[Any]:
    """Show on a terminal that batches go by: some evaluations take minutes."""
    from rich.console import Console
    from rich.progress import track

    console = Console(stderr=True)
    return track(batches, "evaluating", console=console, transient=True, disable=not console.is_terminal)


def closer(built: Any) -> Callable[[], list[Any]]:
    """Add to an experiment's metrics those that its task has for a closer look, as far as the data can feed them."""
    from dlx import registry
    from dlx.assembly import experiment
    from dlx.errors import ComponentError

    chosen = {metric.name for metric in built.plan.metrics}
    facts = experiment.metric_facts(built.source, built.facts)
    names = []
    for name in built.task.eval_metrics:
        with contextlib.suppress(ComponentError):
            registry.metrics.build(name, {}, facts)
            names.append(name)
    return lambda: built.make_metrics() + [registry.metrics.build(n, {}, facts) for n in names if n not in chosen]


def tables(found: Any) -> dict[str, list[list[str]]]:
    """Return what the task has written down, by name: rows of cells, the header first."""
    from dlx.core import Table

    shown = {name: table for name, table in found.shown.items() if isinstance(table, Table)}
    return {name: [list(table.header), *map(list, table.rows)] for name, table in shown.items()}


def draw(found: Any, checkpoint: Path, split: str) -> list[str]:
    """Save the pictures of an evaluation in the plots of the checkpoint's run, where it lies in one; give their files.

    What cannot be drawn or written is told: the numbers do not depend on it.
    """
    from dlx.core import Table

    run = run_of(checkpoint)
    if run is None:
        return []
    pictures, written = dict(found.shown), list[str]()
    for metric in found.metrics:
        with optional(f"pictures of {type(metric).__name__}"):
            pictures = {**metric.pictures(), **pictures}
    with optional(f"pictures in {run / 'plots'}"):
        files.make_folder(run / "plots")
        for name, shown in pictures.items():
            file = run / "plots" / f"{split}_{file_name(name)}.{'txt' if isinstance(shown, Table) else 'png'}"
            with optional(str(file)):
                if isinstance(shown, Table):
                    files.write(file, f"{shown.text()}\n".encode())
                else:
                    files.save_picture(shown, file)
                written.append(str(file))
    return written


def render(result: dict[str, Any], as_json: bool) -> str:
    """Write a result as one JSON object or as lines."""
    if as_json:
        return json.dumps(result)
    result = {one_line(key): value for key, value in result.items()}  # names of classes stay within their line
    split = result["split"]
    numbers = {key.partition("/")[2]: value for key, value in result.items() if key.startswith(f"{split}/")}
    names = [name for name in numbers if "/" not in name]
    width = max([len(n) for n in names] + [8])
    columns = [split, "baseline", *(["scripted"] if any(key.startswith("scripted/") for key in result) else [])]
    lines = [
        f"{result['checkpoint']} (step {result['step']}), {split} split",
        f"{'':{width}}" + "".join(f"  {column:>10}" for column in ("model", *columns[1:])),
    ]
    for name in names:
        values = (result.get(f"{column}/{name}") for column in columns)
        lines.append(f"{name:{width}}" + "".join(f"  {'' if value is None else brief(value, 4):>10}" for value in values))
    written = [f"wrote {file}" for file in result["pictures"]]
    if "real_time_factor" in result:
        lines.append(f"real-time factor {brief(result['real_time_factor'], 3)}: seconds taken for a second of sound")
    return "\n".join(lines + table(numbers) + examples(result["tables"]) + result["signatures"] + written)


def examples(tables: dict[str, list[list[str]]]) -> list[str]:
    """Lay out what the task has written down, each table under its name."""
    from dlx.core import Table

    return [line for name, (header, *rows) in tables.items() for line in ("", one_line(name), Table(header, rows).text())]


def table(numbers: dict[str, float]) -> list[str]:
    """Lay out the numbers named `column/row`, such as the F1 of every class."""
    pairs = [name.partition("/")[::2] for name in numbers if "/" in name]
    columns, rows = (list(dict.fromkeys(names)) for names in zip(*pairs, strict=True)) if pairs else ([], [])
    width = max([len(row) for row in rows] + [8])

    def cell(column: str, row: str) -> str:
        value = numbers.get(f"{column}/{row}", float("nan"))
        return f"{value:.0f}" if column == "support" else brief(value, 4)

    lines = [f"{row:{width}}" + "".join(f"  {cell(column, row):>10}" for column in columns) for row in rows]
    return ["", f"{'':{width}}" + "".join(f"  {column:>10}" for column in columns), *lines] if rows else []
