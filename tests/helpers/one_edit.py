"""The keys of the shipped configs, and the same configs with one letter of one key changed."""

from __future__ import annotations

import shutil
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import yaml
from hypothesis import assume
from hypothesis import strategies as st

from dlx import registry
from dlx.assembly import planner
from dlx.config import spec

CONFIGS = Path(__file__).parents[2] / "configs"
NAMES = sorted(str(file.relative_to(CONFIGS)) for file in CONFIGS.rglob("*.yaml"))
FREE = {("groups",), ("files",)}  # there the user's own words are the keys
LETTERS = "abcdefghijklmnopqrstuvwxyz0123456789_"


@dataclass(frozen=True)
class Key:
    """A key of a config: its path, and where it stands."""

    path: tuple[str | int, ...]
    index: int
    line: int
    column: int

    @property
    def word(self) -> str:
        return str(self.path[-1])


@cache
def keys(name: str) -> list[Key]:
    found: list[Key] = []

    def walk(node: yaml.Node, path: tuple[str | int, ...]) -> None:
        if isinstance(node, yaml.SequenceNode):
            for number, item in enumerate(node.value):
                walk(item, (*path, number))
        elif isinstance(node, yaml.MappingNode):
            for key, value in node.value:
                here, mark = (*path, key.value), key.start_mark
                if path[-1:] not in FREE:
                    found.append(Key(here, mark.index, mark.line + 1, mark.column + 1))
                walk(value, here)

    walk(yaml.compose((CONFIGS / name).read_text()), ())
    return found


def _known_words() -> frozenset[str]:
    signatures = [s for known in registry.REGISTRIES.values() if known.names() for s in known.signatures.values()]
    signatures += [planner.DEVICE, planner.TRAINER, *planner.OPTIONS.values()]
    choices = {choice for signature in signatures for choice in signature.choices}
    return frozenset({*spec.SECTIONS, *registry.layers.names(), "name", "extends", *choices})


# Every word that is a key somewhere: an edit that hits one is not surely a mistake.
KNOWN_WORDS = _known_words()


@st.composite
def one_edit(draw: st.DrawFn) -> tuple[str, Key, str, str]:
    """Draw a config, one of its keys, the key after one edit, and the config's text with it."""
    name = draw(st.sampled_from(NAMES))
    key = draw(st.sampled_from(keys(name)))
    word, letter = key.word, draw(st.sampled_from(LETTERS))
    kind = draw(st.sampled_from(["insert", "delete", "replace", "swap"]))
    at = draw(st.integers(0, len(word) - (kind != "insert")))
    changed = {"insert": letter + word[at : at + 1], "delete": "", "replace": letter, "swap": word[at : at + 2][::-1]}[kind]
    edited = word[:at] + changed + word[at + (2 if kind == "swap" else 1) :]
    assume(edited and edited not in KNOWN_WORDS | {word})
    text = (CONFIGS / name).read_text()
    assert text[key.index :].startswith(word)
    return name, key, edited, text[: key.index] + edited + text[key.index + len(word) :]


def copy_configs(folder: Path) -> Path:
    return Path(shutil.copytree(CONFIGS, folder / "configs"))
