"""YAML by the 1.2 core rules, with the place of every value; duplicate keys, tags and bombs are errors."""

from __future__ import annotations

import re
from pathlib import Path as FilePath
from typing import Any

import yaml

from dlx.errors import MAX_TOLD, Path, dotted

MAX_BYTES, MAX_DEPTH, MAX_NODES, MAX_INT = 1_000_000, 40, 100_000, 2**64
CORE = {"tag:yaml.org,2002:" + kind for kind in ("null", "bool", "int", "float", "str", "map", "seq")}

TOO_DEEP = f"nested deeper than {MAX_DEPTH} (does an alias hold itself?)"
TOO_LARGE = f"more than {MAX_BYTES:,} bytes, the most a config may have"
WORDS = {"int": "whole number of at most 64 bits", "float": "number", "bool": "true or false", "null": "null"}


class YamlError(ValueError):
    """Text that is no acceptable YAML: faults as (FILE:LINE:COLUMN, message).

    `rest` holds values and places without what is at fault, where the text can be read on beyond it.
    """

    def __init__(self, faults: list[tuple[str, str]], rest: tuple[Any, dict[Path, str]] | None = None) -> None:
        if len(faults) > MAX_TOLD:
            faults = [*faults[:MAX_TOLD], (faults[MAX_TOLD][0], f"and {len(faults) - MAX_TOLD:,} more faults")]
        super().__init__("\n".join(f"{place} {message}" for place, message in faults))
        self.faults, self.rest = faults, rest


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict[str, Any] = {}

    def __init__(self, text: str) -> None:
        super().__init__(text)
        self.composed = self.depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Read one value, within the limits: counted here, so that a text beyond them is not read to its end."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        mark = event.start_mark
        is_key = index is None and isinstance(parent, yaml.MappingNode)
        self.composed, self.depth = self.composed + (not is_key), self.depth + 1
        if self.composed > MAX_NODES:
            raise _TooMuch(mark, f"more than {MAX_NODES:,} values")
        if self.depth > MAX_DEPTH + 1:
            raise _TooMuch(mark, TOO_DEEP)
        node = super().compose_node(parent, index)
        self.depth -= 1
        return node


class _TooMuch(Exception):
    def __init__(self, mark: Any, message: str) -> None:
        self.mark, self.message = mark, message


# YAML 1.2.2, section 10.3.2: the core schema. `no` is a string and 1e-3 is a number.
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", [*"~nN", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", [*"-+0123456789"]),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", [*"-+.0123456789"]),
):
    _Loader.add_implicit_resolver("tag:yaml.org,2002:" + _tag, re.compile(rf"^(?:{_pattern})\Z"), _first)


def read(file: FilePath) -> tuple[Any, dict[Path, str]]:
    """Read a file into plain values and the place of each; raises YamlError."""
    try:
        with file.open("rb") as opened:
            raw = opened.read(MAX_BYTES + 1)
    except OSError as error:
        raise YamlError([(f"{file}:", error.strerror or str(error))]) from None
    if len(raw) > MAX_BYTES:
        raise YamlError([(f"{file}:", TOO_LARGE)])
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise YamlError([(f"{file}:", f"not UTF-8 at byte {error.start}")]) from None
    return _Reader(str(file)).read(text)


def parse(text: str, place: str, path: Path = ()) -> tuple[Any, dict[Path, str]]:
    """Read one value from a string, as an override gives it to `path`; faults name `place`."""
    return _Reader("", place, path).read(text)


class _Reader:
    """Reads one text; what is wrong with single values is gathered, so that all of it is told."""

    def __init__(self, file: str, place: str = "", root: Path = ()) -> None:
        self.file, self.fixed, self.root = file, place, root
        self.nodes, self.places = 0, dict[Path, str]()
        self.faults: list[tuple[str, str]] = []

    def read(self, text: str) -> tuple[Any, dict[Path, str]]:
        values = self.values(text)
        if self.faults:
            raise YamlError(self.faults, (values, self.places))
        return values, self.places

    def values(self, text: str) -> Any:
        if len(text) > MAX_BYTES:
            raise YamlError([(self.place(None), TOO_LARGE)])
        try:
            node = _Loader(text).get_single_node()
        except yaml.MarkedYAMLError as error:
            message = ", ".join(part for part in (error.context, error.problem) if part)
            raise YamlError([(self.place(error.problem_mark or error.context_mark), message)]) from None
        except yaml.reader.ReaderError as error:
            before = text[: error.position]
            place = self.fixed or f"{self.file}:{before.count(chr(10)) + 1}:{error.position - before.rfind(chr(10))}"
            raise YamlError([(place, f"the character {chr(error.character)!r} is not allowed")]) from None
        except _TooMuch as error:
            raise YamlError([(self.place(error.mark), error.message)]) from None
        return None if node is None else self.value(node, (), 0)

    def place(self, mark: Any) -> str:
        return self.fixed or (f"{self.file}:{mark.line + 1}:{mark.column + 1}" if mark else self.file)

    def note(self, node: yaml.Node, path: Path, message: str) -> None:
        key = dotted((*self.root, *path))
        self.faults.append((self.place(node.start_mark), f"{key + ': ' if key else ''}{message}"))

    def too_deep(self, mark: Any) -> YamlError:
        return YamlError([(self.place(mark), TOO_DEEP)])

    def value(self, node: yaml.Node, path: Path, depth: int) -> Any:
        self.nodes += 1
        if depth > MAX_DEPTH:
            raise self.too_deep(node.start_mark)
        if self.nodes > MAX_NODES:
            raise YamlError([(self.place(node.start_mark), f"more than {MAX_NODES:,} values once its aliases are followed")])
        self.places.setdefault(path, self.place(node.start_mark))
        if not self.is_plain(node, path):
            return None
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, i), depth + 1) for i, item in enumerate(node.value)]
        return self.scalar(node, path)

    def is_plain(self, node: yaml.Node, path: Path) -> bool:
        if is_plain := node.tag in CORE:
            return is_plain
        self.note(node, path, f"the tag {node.tag.replace('tag:yaml.org,2002:', '!!')} is not taken: plain values only")
        return False

    def mapping(self, node: yaml.MappingNode, path: Path, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode) or not key_node.value:
                self.note(key_node, path, "a key is one word")
                continue
            key = key_node.value
            here = (*path, key)
            if key in values:
                first = "" if self.fixed else f", first at {self.places[here]}"
                self.note(key_node, here, f"stands twice{first}")
            elif key == "<<" and not key_node.style:
                self.note(key_node, here, "YAML 1.2 has no merge key; write the keys out, or let the file extend another")
            elif self.is_plain(key_node, here):
                self.places[here] = self.place(key_node.start_mark)
                values[key] = self.value(value_node, here, depth + 1)
        return values

    def scalar(self, node: yaml.Node, path: Path) -> Any:
        kind, text = node.tag.rpartition(":")[2], node.value
        try:
            return text if kind == "str" else _typed(kind, text)
        except (ValueError, KeyError):
            self.note(node, path, f"{text[:40]!r} is no {WORDS[kind]}")
            return None


def _typed(kind: str, text: str) -> Any:
    if kind == "int":
        number = int(text, 0) if re.match(r"0[xo]", text) else int(text)
        if abs(number) >= MAX_INT:
            raise ValueError
        return number
    if kind == "float":
        return float(re.sub(r"^([-+]?)\.(?=[inIN])", r"\1", text))
    return {"true": True, "false": False, "null": None, "~": None, "": None}[text.lower()]


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

    def ignore_aliases(self, data: Any) -> bool:
        return True


def dump(values: Any) -> str:
    """Write plain values as YAML that `read` reads back the same."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
