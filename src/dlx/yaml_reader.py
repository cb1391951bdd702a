"""YAML by the 1.2 core rules, with the place of every value; duplicate keys, tags and bombs are errors."""

from __future__ import annotations

import re
from pathlib import Path as FilePath
from typing import Any

import yaml

from dlx.errors import Path, dotted

MAX_BYTES, MAX_DEPTH, MAX_NODES = 1_000_000, 40, 100_000
CORE = {"tag:yaml.org,2002:" + kind for kind in ("null", "bool", "int", "float", "str", "map", "seq")}


class YamlError(ValueError):
    """A file that is no acceptable YAML; the message begins with FILE:LINE:COLUMN."""


class _Loader(yaml.SafeLoader):
    yaml_implicit_resolvers: dict = {}


# YAML 1.2.2, section 10.3.2: the core schema. `no` is a string and 1e-3 is a number.
for _tag, _pattern, _first in (
    ("null", r"~|null|Null|NULL|", [*"~nN", ""]),
    ("bool", r"true|True|TRUE|false|False|FALSE", [*"tTfF"]),
    ("int", r"[-+]?[0-9]+|0o[0-7]+|0x[0-9a-fA-F]+", [*"-+0123456789"]),
    ("float", r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)", [*"-+.0123456789"]),
):
    _Loader.add_implicit_resolver("tag:yaml.org,2002:" + _tag, re.compile(f"^(?:{_pattern})$"), _first)


def read(file: FilePath) -> tuple[Any, dict[Path, str]]:
    """Read a file into plain values and the place of each; raises YamlError."""
    try:
        raw = file.read_bytes()
    except OSError as error:
        raise YamlError(f"{file}: {error.strerror or error}") from None
    if len(raw) > MAX_BYTES:
        raise YamlError(f"{file}: {len(raw):,} bytes; a config has at most {MAX_BYTES:,}")
    try:
        text = raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise YamlError(f"{file}: not UTF-8 at byte {error.start}") from None
    return _Reader(str(file)).read(text)


def parse(text: str, place: str) -> tuple[Any, dict[Path, str]]:
    """Read one value from a string, as an override gives it; faults name `place`."""
    return _Reader("", place).read(text)


class _Reader:
    def __init__(self, file: str, place: str = "") -> None:
        self.file, self.fixed = file, place
        self.nodes, self.places = 0, dict[Path, str]()

    def read(self, text: str) -> tuple[Any, dict[Path, str]]:
        try:
            node = _Loader(text).get_single_node()
        except yaml.MarkedYAMLError as error:
            mark = error.problem_mark or error.context_mark
            raise YamlError(f"{self.place(mark)} {error.problem or error.context}") from None
        except yaml.YAMLError as error:
            raise YamlError(f"{self.fixed or self.file} {str(error).splitlines()[0]}") from None
        except RecursionError:
            raise YamlError(f"{self.fixed or self.file} nested deeper than {MAX_DEPTH}") from None
        return (None if node is None else self.value(node, (), 0)), self.places

    def place(self, mark: Any) -> str:
        return self.fixed or (f"{self.file}:{mark.line + 1}:{mark.column + 1}" if mark else self.file)

    def fail(self, node: yaml.Node, path: Path, message: str) -> YamlError:
        return YamlError(f"{self.place(node.start_mark)} {dotted(path) + ': ' if path else ''}{message}")

    def value(self, node: yaml.Node, path: Path, depth: int) -> Any:
        self.nodes += 1
        if depth > MAX_DEPTH:
            raise self.fail(node, (), f"nested deeper than {MAX_DEPTH} (does an alias hold itself?)")
        if self.nodes > MAX_NODES:
            raise self.fail(node, (), f"more than {MAX_NODES:,} values once its aliases are followed")
        if node.tag not in CORE:
            raise self.fail(node, path, f"the tag {node.tag.replace('tag:yaml.org,2002:', '!!')} is not taken: plain values only")
        self.places.setdefault(path, self.place(node.start_mark))
        if isinstance(node, yaml.MappingNode):
            return self.mapping(node, path, depth)
        if isinstance(node, yaml.SequenceNode):
            return [self.value(item, (*path, i), depth + 1) for i, item in enumerate(node.value)]
        return self.scalar(node, path)

    def mapping(self, node: yaml.MappingNode, path: Path, depth: int) -> dict[str, Any]:
        values: dict[str, Any] = {}
        for key_node, value_node in node.value:
            if not isinstance(key_node, yaml.ScalarNode):
                raise self.fail(key_node, path, "a key is one word")
            key = key_node.value
            if key in values:
                raise self.fail(key_node, (*path, key), f"stands twice, first at {self.places[(*path, key)]}")
            self.places[(*path, key)] = self.place(key_node.start_mark)
            values[key] = self.value(value_node, (*path, key), depth + 1)
        return values

    def scalar(self, node: yaml.Node, path: Path) -> Any:
        kind, text = node.tag.rpartition(":")[2], node.value
        try:
            if kind == "int":
                return int(text, 0) if re.match(r"0[xo]", text) else int(text)
            if kind == "float":
                return float(re.sub(r"^([-+]?)\.(?=[inIN])", r"\1", text))
            if kind == "bool":
                return {"true": True, "false": False}[text.lower()]
        except (ValueError, KeyError):
            raise self.fail(node, path, f"{text[:40]!r} is no {kind}") from None
        return None if kind == "null" else text


class _Dumper(yaml.SafeDumper):
    yaml_implicit_resolvers = _Loader.yaml_implicit_resolvers

    def ignore_aliases(self, data: Any) -> bool:
        return True


def dump(values: Any) -> str:
    """Write plain values as YAML that `read` reads back the same."""
    return yaml.dump(values, Dumper=_Dumper, sort_keys=False, allow_unicode=True, width=120)
