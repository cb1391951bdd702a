"""`dlx schema`: a JSON schema (draft 7) of configs, made from the signatures in the registries."""

from __future__ import annotations

import json
from typing import Any

from dlx import registry
from dlx.assembly import planner
from dlx.config.sections import LARGEST_NUMBERS
from dlx.config.sections import REQUIRED as REQUIRED_SECTIONS
from dlx.registry import Registry
from dlx.registry.signatures import REQUIRED, Signature, adapter, markers

Schema = dict[str, Any]
HOME = "#/definitions/"


def schema() -> Schema:
    """Describe everything a config may say, for editors."""
    tasks, data, models = registry.tasks, registry.sources, registry.models
    optimizers, schedules = (
        (registry.optimizers, planner.OPTIONS["optimizer"]),
        (registry.schedules, planner.OPTIONS["schedule"]),
    )
    properties = {
        "extends": {"type": "string", "description": "a config that this one is laid over"},
        "name": {"type": "string", "description": "name of the run; the file's own name unless given"},
        "seed": _count("seed", "all randomness comes from it"),
        "epochs": _count("epochs", "passes over the training split"),
        "steps": _count("steps", "updates, instead of epochs"),
        "device": {"anyOf": [{"type": "string"}, settings(planner.DEVICE)]},
        "task": components(tasks),
        "data": components(data),
        "model": components(models),
        "optimizer": per_part(components(*optimizers)),
        "schedule": per_part(components(*schedules)),
        "metrics": {"type": "array", "items": complete(registry.metrics)},
        "loggers": {"type": "array", "items": complete(registry.loggers)},
        "trainer": settings(planner.TRAINER),
    }
    # A config that extends another need not say everything itself.
    whole = {"task": complete(tasks), "data": complete(data), "model": complete(models)}
    whole |= {"optimizer": per_part(complete(*optimizers)), "schedule": per_part(complete(*schedules))}
    time = [{"required": ["epochs"]}, {"required": ["steps"]}]
    return hoisted(
        {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": "dlx experiment",
            "type": "object",
            "properties": properties,
            "additionalProperties": False,
            "not": {"required": ["epochs", "steps"]},
            "if": {"not": {"required": ["extends"]}},
            "then": {"properties": whole, "required": list(REQUIRED_SECTIONS), "anyOf": time},
        }
    )


def _count(section: str, description: str) -> Schema:
    return {"type": "integer", "minimum": 0, "maximum": LARGEST_NUMBERS[section], "description": description}


def components(kind: Registry, options: Signature = planner.NO_OPTIONS) -> Schema:
    """Describe a component, or what a config changes of the one it extends."""
    named = [_named(kind, name, options) for name in kind.names()]
    keys = {key: True for name in kind.names() for key in [*kind.signatures[name].choices, *options.choices]}
    nameless = {"type": "object", "properties": keys, "additionalProperties": False}
    return {"anyOf": [{"enum": _bare(kind)}, *named, nameless]}


def complete(kind: Registry, options: Signature = planner.NO_OPTIONS) -> Schema:
    """Describe a component that says all that it must."""
    required = {
        name: [c.name for c in kind.signatures[name].choices.values() if c.default is REQUIRED] for name in kind.names()
    }
    named = [{"allOf": [_named(kind, name, options), {"required": ["name", *required[name]]}]} for name in kind.names()]
    return {"anyOf": [{"enum": _bare(kind)}, *named]}


def _bare(kind: Registry) -> list[str]:
    return [name for name in kind.names() if all(c.default is not REQUIRED for c in kind.signatures[name].choices.values())]


def _named(kind: Registry, name: str, options: Signature) -> Schema:
    key = f"{kind.kind.replace(' ', '_')}-{name}"
    described = settings(Signature({}, {**kind.signatures[name].choices, **options.choices}))
    if "groups" in options.choices:  # what a pattern sets is the component's own
        described["properties"]["groups"]["additionalProperties"] = settings(kind.signatures[name])
    described["properties"] = {"name": {"const": name}, **described["properties"]}
    described |= {"required": ["name"], "description": kind.summary(name)}
    return {"$ref": f"#/$defs/{key}", "$defs": {key: described}}


def per_part(one: Schema) -> Schema:
    """Describe one component, or one for each part of the model that some task trains on its own."""
    names = sorted({part for name in registry.tasks.names() for part in registry.tasks.get(name).parts})
    parts = {"type": "object", "properties": dict.fromkeys(names, one), "minProperties": 1, "additionalProperties": False}
    return {"anyOf": [one, parts]}


def settings(wanted: Signature) -> Schema:
    """Describe the choices of one signature as an object."""
    properties = {choice.name: _type(choice.annotation) for choice in wanted.choices.values()}
    for choice in wanted.choices.values():
        if choice.default is not REQUIRED and choice.default is not None:
            properties[choice.name]["default"] = json.loads(json.dumps(choice.default, default=str))
    return {"type": "object", "properties": properties, "additionalProperties": False}


def _type(annotation: Any) -> Schema:
    for marker in markers(annotation):
        if (own := marker.json_schema()) is not None:
            return {**own, "$defs": marker.definitions()}
    return adapter(annotation).json_schema()


def hoisted(whole: Schema) -> Schema:
    """Move every nested `$defs` to `definitions` at the top, and write a tuple as draft 7 does."""
    found: Schema = {}
    definitions: Schema = {}

    def move(node: Any, names: dict[str, str]) -> Any:
        if isinstance(node, list):
            return [move(item, names) for item in node]
        if not isinstance(node, dict):
            return node
        mine = node.get("$defs", {})
        names = names | {name: _free(name, schema, found) for name, schema in mine.items()}
        for name, schema in mine.items():
            if names[name] not in found:
                found[names[name]] = schema
                definitions[names[name]] = move(schema, names)
        moved = {
            ("items" if key == "prefixItems" else key): move(inner, names) for key, inner in node.items() if key != "$defs"
        }
        if "$ref" in moved:  # draft 7 ignores what stands beside a $ref
            ref = {"$ref": HOME + names[moved.pop("$ref").rpartition("/")[2]]}
            return {"allOf": [ref], **moved} if moved else ref
        return moved

    moved = move(whole, {})
    return {**moved, "definitions": definitions}


def _free(name: str, schema: Schema, found: Schema) -> str:
    """Find the name of an equal definition, else one that is not taken."""
    key, number = name, 1
    while key in found and found[key] != schema:
        number += 1
        key = f"{name}-{number}"
    return key
