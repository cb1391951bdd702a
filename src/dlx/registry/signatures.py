"""A constructor's signature as the schema of its settings: facts before the star, choices after it."""

from __future__ import annotations

import inspect
import json
import re
import types
import typing
from collections.abc import Callable, Iterable, Mapping
from dataclasses import MISSING, dataclass, field, fields
from functools import cache
from typing import Annotated, Any

from dlx.errors import Fault, Marker, Path, UsageError, limited, meant, nearest, shown, unknown
from dlx.registry.types import Group, misgrouped

REQUIRED = inspect.Parameter.empty


@dataclass(frozen=True)
class Parameter:
    """One parameter of a constructor; `default` is REQUIRED where there is none."""

    name: str
    annotation: Any
    default: Any


@dataclass(frozen=True)
class Signature:
    """What a constructor takes from the data (facts) and from the config (choices).

    `groups` are the parameters that take several of them at once, as one dataclass.
    """

    facts: dict[str, Parameter]
    choices: dict[str, Parameter]
    groups: dict[str, type[Group]] = field(default_factory=dict)

    def arguments(self, given: Mapping[str, Any]) -> dict[str, Any]:
        """Return facts and choices as the constructor takes them: those of a group as one."""
        flat, grouped = dict(given), {}
        for name, group in self.groups.items():
            grouped[name] = group(**{f.name: flat.pop(f.name) for f in fields(group) if f.name in flat})
        return {**flat, **grouped}


def signature(constructor: Callable[..., Any], facts: Iterable[str] | None = None, hidden: Iterable[str] = ()) -> Signature:
    """Read a constructor's signature; `facts` names those of a foreign constructor without a star."""
    function = constructor.__init__ if inspect.isclass(constructor) else constructor
    hints = typing.get_type_hints(function, include_extras=True)
    found = Signature({}, {})
    for p in inspect.signature(constructor).parameters.values():
        if p.name in hidden or p.kind in (p.VAR_POSITIONAL, p.VAR_KEYWORD):
            continue
        is_fact = p.kind is not p.KEYWORD_ONLY if facts is None else p.name in facts
        if facts is None and not is_fact and p.name not in hints:
            told = f"the setting '{p.name}' has no type; write one, such as {p.name}: int = 3"
            raise UsageError(f"{place_of(constructor, p.name)}: {constructor.__name__}: {told}")
        hint, kind = hints.get(p.name, Any), found.facts if is_fact else found.choices
        own = {p.name: Parameter(p.name, _without_tensors(hint), p.default)}
        if inspect.isclass(hint) and issubclass(hint, Group):
            found.groups[p.name], own = hint, _fields(hint)
            if fault := misgrouped(hint, is_fact, own.keys() & (found.facts.keys() | found.choices.keys())):
                raise UsageError(f"{place_of(constructor, p.name)}: {constructor.__name__}: {fault}")
        kind.update(own)
    return found


def _fields(group: type[Group]) -> dict[str, Parameter]:
    """Return the parameters that a group stands for."""
    hints = typing.get_type_hints(group, include_extras=True)
    found = {}
    for one in fields(group):
        default = one.default if one.default_factory is MISSING else one.default_factory()
        found[one.name] = Parameter(one.name, hints[one.name], REQUIRED if default is MISSING else default)
    return found


def place_of(constructor: Any, parameter: str = "") -> str:
    """Name the file and the line of a constructor, or of one of its parameters."""
    try:
        lines, first = inspect.getsourcelines(constructor)
        file = inspect.getsourcefile(constructor)
    except (OSError, TypeError):  # made without a file
        return f"{constructor.__module__}.{constructor.__name__}"
    found = (n for n, line in enumerate(lines) if parameter and re.search(rf"[(,\s]{parameter}\s*[:=,)]", line))
    return f"{file}:{first + next(found, 0)}"


def misdeclared(choice: Parameter) -> str:
    """Say why no config could set a choice, or none with its default be read back; "" where both can be."""
    try:
        adapter(choice.annotation)
        default = list(choice.default) if isinstance(choice.default, tuple) else choice.default
        faults = [] if default is REQUIRED else check_value(choice.annotation, default, ())[1]
    except Exception:  # whatever pydantic says of a type that it does not know
        return f"the setting '{choice.name}' has the type {describe(choice.annotation)}, which no value in YAML has"
    if faults and choice.default is None:
        return f"the setting '{choice.name}' is null by default, and its type is not; add ' | None' to the type"
    return f"the default of '{choice.name}' {faults[0].message}" if faults else ""


def _without_tensors(annotation: Any) -> Any:
    """Drop Tensor from the unions of torch's own signatures: no YAML holds one."""
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        kept = [_without_tensors(a) for a in typing.get_args(annotation) if getattr(a, "__name__", "") != "Tensor"]
        return typing.Union[tuple(kept)]  # noqa: UP007
    if typing.get_origin(annotation) is tuple:
        return tuple[tuple(_without_tensors(a) for a in typing.get_args(annotation))]  # type: ignore[misc]
    return annotation


@cache
def adapter(annotation: Any) -> Any:
    """Make what checks values against a type strictly."""
    from pydantic import ConfigDict, TypeAdapter

    try:
        return TypeAdapter(annotation, config=ConfigDict(strict=True, extra="forbid", allow_inf_nan=False))
    except Exception:  # a type that brings its own config, such as a TypedDict
        return TypeAdapter(annotation)


def markers(annotation: Any) -> list[Marker]:
    """Find the markers in an Annotated type, within unions too."""
    if typing.get_origin(annotation) is Annotated:
        return [m for m in annotation.__metadata__ if isinstance(m, Marker)]
    if typing.get_origin(annotation) in (typing.Union, types.UnionType):
        return [m for a in typing.get_args(annotation) for m in markers(a)]
    return []


def check(wanted: Signature, given: Mapping[str, Any], path: Path = ()) -> tuple[dict[str, Any], list[Fault]]:
    """Hold a mapping against the choices of a signature: the values with all defaults, and the faults."""
    strange = [key for key in given if key not in wanted.choices]
    told = (Fault((*path, key), _strange(wanted, key)) for key in strange)
    faults = limited(path, told, len(strange))
    values = {}
    for name, parameter in wanted.choices.items():
        if name in given:
            values[name], more = check_value(parameter.annotation, given[name], (*path, name))
            faults += more
        elif parameter.default is REQUIRED:
            faults.append(Fault((*path, name), f"is missing: wants {describe(parameter.annotation)}"))
        else:
            values[name] = _default(parameter)
    return values, faults


def _strange(wanted: Signature, key: str) -> str:
    if key in wanted.facts:
        return "is no setting, since it stands before the star of the constructor: the data gives it, if anything does"
    return unknown("key", key, list(wanted.choices))


def _default(parameter: Parameter) -> Any:
    """Give a default as the type it stands for: a foreign `weight_decay: float = 0` is 0.0."""
    try:
        return adapter(parameter.annotation).validate_json(json.dumps(parameter.default))
    except (ValueError, TypeError):  # a default that the type itself would refuse
        return parameter.default


def check_value(annotation: Any, value: Any, path: Path) -> tuple[Any, list[Fault]]:
    """Hold one value against a type: the value as that type, and the faults within it."""
    from pydantic import ValidationError

    try:
        text = json.dumps(value, default=str)
        checked = adapter(annotation).validate_json(text)  # JSON, since strict JSON takes a list for a tuple
    except ValidationError as error:
        return value, _faults(annotation, value, error.errors(), path)
    for marker in markers(annotation):
        if checked is not None:
            return marker.check(value, path)
    return checked, []


def _faults(annotation: Any, value: Any, errors: list[Any], path: Path) -> list[Fault]:
    told: dict[Path, list[Any]] = {}
    for error in errors:
        told.setdefault(_place(error, value, path), []).append(error)
    # A union complains at its own place and within its branches: the innermost complaint says most.
    outer = {p[:end] for p in told for end in range(len(p))}
    inner = [p for p in told if p not in outer]
    return limited(path, (Fault(p, _message(annotation, told[p], value, p[len(path) :])) for p in inner), len(inner))


def _place(error: Any, value: Any, path: Path) -> Path:
    """Find where pydantic's error lies; steps that name a branch of a union are not in the value."""
    place = path
    for step in error["loc"]:
        if _holds(value, step):
            value, place = value[step], (*place, step)
        elif error["type"] in ("missing", "extra_forbidden") and step == error["loc"][-1]:
            place = (*place, step)
    return place


def _holds(value: Any, step: Any) -> bool:
    if isinstance(value, list):
        return isinstance(step, int) and step < len(value)
    return isinstance(value, dict) and step in value


WISHES = {
    "int_type": "a whole number", "int_from_float": "a whole number", "float_type": "a number", "string_type": "text",
    "bool_type": "true or false", "list_type": "a list", "tuple_type": "a list", "dict_type": "a mapping",
    "none_required": "null", "finite_number": "a finite number", "literal_error": "{expected}",
    "greater_than": "a number greater than {gt}", "greater_than_equal": "a number of at least {ge}",
    "less_than": "a number less than {lt}", "less_than_equal": "a number of at most {le}",
    "too_short": "at least {min_length} items", "too_long": "at most {max_length} items",
    "string_too_short": "at least {min_length} characters", "string_too_long": "at most {max_length} characters",
}  # fmt: skip


def _message(annotation: Any, errors: list[Any], value: Any, steps: Path) -> str:
    kinds = {error["type"] for error in errors}
    if "missing" in kinds:
        return "is missing"
    if "extra_forbidden" in kinds:
        return unknown("key", str(steps[-1]), _keys(adapter(annotation).json_schema(), value, steps[:-1]))
    for step in steps:
        value = value[step]
    described = any(marker.describe() for marker in markers(annotation))
    wishes = [describe(annotation)] if described and not steps else [_wish(error) for error in errors]
    if "null" in wishes:  # `null` is said last, as in "a number or null"
        wishes = [w for w in wishes if w != "null"] + ["null"]
    options = [o for e in errors if e["type"] == "literal_error" for o in re.findall("'(.*?)'", e["ctx"]["expected"])]
    near = nearest(value, options) if isinstance(value, str) else []
    return f"wants {' or '.join(dict.fromkeys(wishes))}, not {shown(value)}" + (f"; {meant(near)}" if near else "")


def _wish(error: Any) -> str:
    known = WISHES.get(error["type"])
    return (
        known.format(**{name: _figure(value) for name, value in error.get("ctx", {}).items()})
        if known
        else error["msg"].replace("Input should be ", "")
    )


def _figure(value: Any) -> Any:
    """Write a bound as people do: 0 for 0.0, all digits of a large one."""
    is_whole = isinstance(value, (int, float)) and value == value // 1
    return f"{int(value):,}" if is_whole else value


def _keys(schema: Any, value: Any, steps: Path) -> list[str]:
    """List the keys that a JSON schema names for the mapping at some steps into a value."""
    found: list[Any] = [schema]
    for step in [*steps, None]:
        for one in found:  # grows as it goes: what a schema refers to counts for it
            ref = one.get("$ref", "").rpartition("/")[2]
            found += [*one.get("anyOf", []), *([schema["$defs"][ref]] if ref else [])]
        if step is None:
            return list(dict.fromkeys(key for one in found for key in one.get("properties", {})))
        found = [one.get("properties", {}).get(step, one.get("items", one.get("additionalProperties"))) for one in found]
        found = [one for one in found if isinstance(one, dict)]
    raise AssertionError


def describe(annotation: Any) -> str:
    """Write a type the way a reader of YAML would say it."""
    if annotation is None or annotation is type(None):
        return "null"
    origin, arguments = typing.get_origin(annotation), typing.get_args(annotation)
    if origin is Annotated:
        own = next((marker.describe() for marker in markers(annotation)), "")
        return own or describe(arguments[0]) + _bounds(annotation.__metadata__)
    if origin in (typing.Union, types.UnionType):
        return " or ".join(dict.fromkeys(describe(a) for a in arguments))
    if origin is typing.Literal:
        return ", ".join(map(str, arguments))
    if origin is dict:
        return "mapping"
    if origin in (list, tuple):
        return f"list of {', '.join(describe(a) for a in arguments if a is not ...)}"
    return {"int": "whole number", "float": "number", "str": "text", "bool": "true or false"}.get(
        getattr(annotation, "__name__", ""), getattr(annotation, "__name__", str(annotation))
    )


BOUNDS = {"gt": " greater than {}", "ge": " of at least {}", "lt": " less than {}", "le": " of at most {}"}


def _bounds(metadata: Iterable[Any]) -> str:
    """Write the bounds of a number; pydantic's Field keeps them in a list of its own."""
    marks = [inner for m in metadata for inner in (getattr(m, "metadata", None) or [m])]
    told = [text.format(_figure(getattr(m, key))) for m in marks for key, text in BOUNDS.items() if hasattr(m, key)]
    return " and".join(told)
