"""`dlx schema`: a JSON schema of configs, made from the signatures in the registries."""

from __future__ import annotations

from typing import Any

from dlx import build, registry
from dlx.registry import REQUIRED, Registry, Signature, adapter, markers
from dlx.spec import REQUIRED as REQUIRED_SECTIONS


def schema() -> dict[str, Any]:
    """Describe everything a config may say, for editors."""
    definitions: dict[str, Any] = {}

    def components(kind: Registry, options: Signature = build.NO_OPTIONS) -> dict[str, Any]:
        names = kind.names()
        long = []
        for name in names:
            wanted = kind.signatures[name]
            choices = settings(Signature({}, {**wanted.choices, **options.choices}), definitions, name=name)
            choices["description"] = kind.summary(name)
            key = f"{kind.kind.replace(' ', '_')}-{name}"
            definitions[key] = choices
            long.append({"$ref": f"#/$defs/{key}"})
        return {"anyOf": [{"enum": names}, *long]}

    def per_part(one: dict[str, Any]) -> dict[str, Any]:
        return {"anyOf": [one, {"type": "object", "not": {"required": ["name"]}, "minProperties": 1, "additionalProperties": one}]}

    optimizer = components(registry.optimizers, build.OPTIONS["optimizer"])
    schedule = components(registry.schedules, build.OPTIONS["schedule"])
    whole = {"type": "integer", "minimum": 0}
    properties = {
        "extends": {"type": "string", "description": "a config that this one is laid over"},
        "name": {"type": "string", "description": "name of the run; the file's own name unless given"},
        "seed": {**whole, "description": "all randomness comes from it"},
        "epochs": {**whole, "description": "passes over the training split"},
        "steps": {**whole, "description": "updates, instead of epochs"},
        "device": {"anyOf": [{"type": "string"}, settings(build.DEVICE, definitions)]},
        "task": components(registry.tasks),
        "data": components(registry.sources),
        "model": components(registry.models),
        "optimizer": per_part(optimizer),
        "schedule": per_part(schedule),
        "metrics": {"type": "array", "items": components(registry.metrics)},
        "loggers": {"type": "array", "items": components(registry.loggers)},
        "trainer": settings(build.TRAINER, definitions),
    }
    return {
        "$schema": "http://json-schema.org/draft-07/schema#",
        "title": "dlx experiment",
        "type": "object",
        "properties": properties,
        "additionalProperties": False,
        # A config that extends another need not say everything itself.
        "anyOf": [{"required": ["extends"]}, {"required": list(REQUIRED_SECTIONS)}],
        "$defs": definitions,
    }


def settings(wanted: Signature, definitions: dict[str, Any], name: str = "") -> dict[str, Any]:
    """Describe the choices of one signature as an object."""
    properties: dict[str, Any] = {"name": {"const": name}} if name else {}
    for choice in wanted.choices.values():
        described = _type(choice.annotation, definitions)
        if choice.default is not REQUIRED and isinstance(choice.default, (bool, int, float, str)):
            described["default"] = choice.default
        properties[choice.name] = described
    required = [c.name for c in wanted.choices.values() if c.default is REQUIRED]
    return {
        "type": "object",
        "properties": properties,
        "required": (["name"] if name else []) + required,
        "additionalProperties": False,
    }


def _type(annotation: Any, definitions: dict[str, Any]) -> dict[str, Any]:
    for marker in markers(annotation):
        if hasattr(marker, "json_schema"):
            definitions.update(marker.definitions() if hasattr(marker, "definitions") else {})
            return dict(marker.json_schema())
    found = adapter(annotation).json_schema(ref_template="#/$defs/{model}")
    definitions.update(found.pop("$defs", {}))
    return found
