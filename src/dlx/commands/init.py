"""`dlx init`: a look at data of the user's own, and a config that trains on them at once."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

from dlx.commands import guessing, guessing_sounds
from dlx.commands.configs import new_file, refuse_existing
from dlx.commands.guessing import Draft
from dlx.config import spec, yaml_reader
from dlx.config.values import Spec
from dlx.errors import UsageError

STEPS = 2000  # that a training should have at least, in so many epochs
TIMED_STEPS = 10
EPOCHS = {"mlp": (20, 200), "deep_speech": (30, 100)}  # at least and at most, by the model


def init(path: str, output: Path | None, target: str | None) -> str:
    """Look at a table, a list of recordings, or a folder of these or of images; write a config, and say what was guessed."""
    file = output or Path(f"{_stem(path)}.yaml")
    refuse_existing(file)  # before a look that may take long
    if Path(path).is_dir():
        if target is not None:
            raise UsageError("--target names a column of a table; the classes of images and recordings are their folders")
        draft = guessing_sounds.of_folder(path) or guessing.of_images(path)
    elif Path(path).is_file():
        draft = guessing_sounds.of_list(path, target) or guessing.of_table(path, target)
    else:
        raise UsageError(f"{path}: no file or folder")
    estimate(draft)
    new_file(file, write(draft))
    guesses = [f"{key}: {remark}" for key, remark in draft.remarks.items()]
    return "\n".join([*draft.told, *guesses, f"wrote {file}; train by: dlx train {file}"])


def _stem(path: str) -> str:
    return Path(path).absolute().name.partition(".")[0] or "config"


def described(draft: Draft) -> Spec:
    """Read a draft as a config."""
    return spec.given(draft.sections)


def estimate(draft: Draft) -> None:
    """Choose how many epochs to train, and measure how long one takes: a reading of the clock, told as an estimate."""
    from dlx.assembly.experiment import prepare
    from dlx.assembly.trainer import build_trainer
    from dlx.commands.check import time_steps, written_time

    trainer = build_trainer(prepare(described(draft)))
    epoch = trainer.steps_per_epoch or 1
    least, most = EPOCHS.get(draft.sections["model"]["name"], (10, 40))
    draft.sections["epochs"] = min(max(round(STEPS / epoch), least), most)
    seconds = time_steps(trainer, TIMED_STEPS)
    draft.remarks["epochs"] = f"of {epoch:,} steps; about {written_time(epoch * seconds)} each, as estimated here"


def write(draft: Draft) -> str:
    """Write a draft as YAML with its remarks as comments."""
    lines = [f"# {draft.title}", *(f"#   {line}" for line in draft.told), ""]
    for section, value in draft.sections.items():
        if isinstance(value, dict):
            lines.append(f"{section}:")
            lines += [_line(f"  {key}: {_plain(inner)}", draft.remarks.get(f"{section}.{key}")) for key, inner in value.items()]
            lines.append("")
        else:
            lines.append(_line(f"{section}: {_plain(value)}", draft.remarks.get(section)))
    return "\n".join(lines).rstrip("\n") + "\n"


def _plain(value: Any) -> str:
    """Write a value as YAML has it on one line: a word as it is, all else as JSON, which is YAML too."""
    if isinstance(value, str) and re.fullmatch(r"[^\W\d][\w./-]*", value) and yaml_reader.parse(value, "")[0] == value:
        return value
    return json.dumps(value, ensure_ascii=False)


def _line(text: str, remark: str | None) -> str:
    return f"{text:<36}  # {remark}" if remark else text
