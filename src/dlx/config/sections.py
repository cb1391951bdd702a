"""The sections of an experiment: what there is, what each may be written as, and what is wrong with those given."""

from __future__ import annotations

from typing import Any

from dlx.errors import Fault, Path, limited, nearest, shown, unknown
from dlx.storage import naming

# Sections and what each may be written as. The components' own keys are checked against their signatures.
SECTIONS: dict[str, tuple[type, ...]] = {
    "name": (str,),
    "seed": (int,),
    "epochs": (int,),
    "steps": (int,),
    "device": (str, dict),
    "task": (str, dict),
    "data": (str, dict),
    "model": (str, dict),
    "optimizer": (str, dict),
    "schedule": (str, dict),
    "metrics": (list,),
    "loggers": (list,),
    "trainer": (dict,),
}
REQUIRED = ("task", "data", "model")
MAX_ENTRIES = 1000  # of a section
WORDS = {str: "a name", int: "a whole number", dict: "a mapping", list: "a list"}
LARGEST_NUMBERS = {"epochs": 10**12, "steps": 10**12, "seed": 2**32 - 1}  # scikit-learn takes no larger seed
# Keys that are often written at the top, and the section each belongs in.
INNER = {
    key: section
    for section, keys in {
        "optimizer": "lr learning_rate weight_decay momentum",
        "data": "batch_size num_workers",
        "model": "layers hidden",
        "task": "loss label_smoothing class_weights",
        "schedule": "warmup",
        "trainer": "accumulate clip_norm ema evaluate_every save_every log_every monitor early_stopping keep",
        "device": "precision threads memory_format deterministic",
    }.items()
    for key in keys.split()
}


def structure(values: dict[str, Any]) -> list[Fault]:
    """Find unknown sections, missing ones, and sections of the wrong kind."""
    strange = [key for key in values if key not in SECTIONS]
    faults = limited((), (Fault((key,), _unknown_section(key)) for key in strange), len(strange))
    for key, value in values.items():
        if key in SECTIONS and (not isinstance(value, SECTIONS[key]) or isinstance(value, bool)):
            wanted = " or ".join(WORDS[kind] for kind in SECTIONS[key])
            faults.append(Fault((key,), f"wants {wanted}, not {shown(value)}"))
    faults += [
        Fault((key,), f"has {len(value):,} entries, more than the {MAX_ENTRIES} that are taken")
        for key, value in values.items()
        if key in SECTIONS and isinstance(value, (list, dict)) and len(value) > MAX_ENTRIES
    ]
    faults += [Fault((key,), "is missing: every experiment names it") for key in REQUIRED if key not in values]
    if {"epochs", "steps"} <= set(values):
        faults.append(Fault(("steps",), "give epochs or steps, not both"))
    faults += [
        Fault((key,), f"wants a number from 0 to {most:,}, not {shown(values[key])}")
        for key, most in LARGEST_NUMBERS.items()
        if type(values.get(key)) is int and not 0 <= values[key] <= most
    ]
    # A run that was resumed from within its own folder may have kept "", which training refuses to begin with.
    if isinstance(name := values.get("name"), str) and name and (fault := naming.fault(name)):
        faults.append(Fault(("name",), f"{fault}, not {shown(name)}"))
    return faults


def _unknown_section(key: str) -> str:
    if key in INNER and not nearest(key, SECTIONS):
        return f"unknown section; did you mean '{INNER[key]}.{'lr' if key == 'learning_rate' else key}'?"
    return unknown("section", key, [*SECTIONS, "extends"])


def has_short_form(path: Path) -> bool:
    """Tell whether a component may stand here by its name alone."""
    if len(path) == 1:
        return SECTIONS.get(str(path[0])) == (str, dict)
    in_list = path[0] in ("metrics", "loggers") and isinstance(path[1], int)
    return len(path) == 2 and (in_list or (path[0] in ("optimizer", "schedule") and path[1] != "name"))
