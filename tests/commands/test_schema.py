import json

import jsonschema
import pytest
from hypothesis import HealthCheck, given, settings
from tests.helpers.one_edit import CONFIGS, NAMES, one_edit

from dlx import registry
from dlx.commands.schema import schema
from dlx.config import yaml_reader


@pytest.fixture(scope="module")
def described():
    return json.loads(json.dumps(schema()))


@pytest.fixture(scope="module")
def validator(described):
    jsonschema.Draft7Validator.check_schema(described)
    return jsonschema.Draft7Validator(described)


def read(text: str):
    return yaml_reader.parse(text, "here:")[0]


GOOD = "task: classification\ndata: iris\nmodel: mlp\nepochs: 3\n"


@pytest.mark.parametrize("name", NAMES)
def test_every_config_is_valid(validator, name):
    validator.validate(read((CONFIGS / name).read_text()))


@settings(max_examples=150, suppress_health_check=[HealthCheck.filter_too_much])
@given(one_edit())
def test_one_edit_at_any_key_is_invalid(validator, edit):
    assert not validator.is_valid(read(edit[3]))


@pytest.mark.parametrize(
    "change",
    [
        "name: run", "seed: 3", "device: cpu", "device: {threads: 2}", "optimizer: sgd", "optimizer: {name: adam, lr: 1e-3}",
        "optimizer: {name: adam, betas: [0.9, 0.99], groups: {'a.*': {lr: 1}}}",
        "optimizer: {generator: adam, discriminator: {name: sgd, lr: 1}}",
        "schedule: {name: cosine, warmup: 0.1}", "metrics: [accuracy, {name: top_k, k: 2}]", "loggers: []",
        "trainer: {ema: 0.9}", "trainer: {clip_norm: null}",
    ],
)  # fmt: skip
def test_what_is_right_is_valid(validator, change):
    validator.validate(read(GOOD + change))


@pytest.mark.parametrize(
    "change",
    [
        "nam: run", "seed: -1", "seed: 1.5", "seed: true", "steps: 3", "device: {thread: 2}", "device: {threads: 0}",
        "optimizer: sdg", "optimizer: {lr: 1e-3}", "optimizer: {name: adam, lr: '1'}", "optimizer: {name: adam, momentum: 1}",
        "optimizer: {name: adam, groups: {'a.*': {alr: 1}}}",
        "optimizer: {name: adam, betas: [0.9]}", "optimizer: {name: adam, betas: [0.9, x]}", "optimizer: {}",
        "optimizer: {generator: {lr: 1}}", "optimizer: {judge: adam}",
        "schedule: exponential", "schedule: {name: exponential}", "metrics: accuracy", "metrics: [1]", "metrics: [{k: 2}]",
        "trainer: null", "trainer: {keep: 0}", "loggers: [tensorbord]",
    ],
)  # fmt: skip
def test_a_mistake_is_invalid(validator, change):
    assert not validator.is_valid(read(GOOD + change))


@pytest.mark.parametrize(
    "model",
    [
        "sequential", "{name: sequential}", "{name: sequential, layers: []}", "{name: sequential, layers: [dens]}",
        "{name: sequential, layers: [{dense: 3, relu: 1}]}", "{name: sequential, layers: [{dense: {sise: 3}}]}",
        "{name: sequential, layers: [{residual: {layers: [{dense: -1}]}}]}", "{name: mlp, hidden: [a]}", "{hidden: [3]}",
        "[mlp]",
        "{name: mcculloch_pitts, units: [[{weights: [1], treshold: 1}]]}", "{name: mcculloch_pitts, units: [[{weights: [1]}]]}",
    ],
)  # fmt: skip
def test_a_mistake_in_a_model_is_invalid(validator, model):
    assert not validator.is_valid(read(GOOD.replace("mlp", model)))


def test_missing_sections_are_invalid(validator):
    for line in GOOD.splitlines(keepends=True):
        assert not validator.is_valid(read(GOOD.replace(line, "")))


def test_a_config_that_extends_another_says_what_it_changes(validator):
    validator.validate(read("extends: other.yaml\nmodel: {hidden: [3]}\ndata: {batch_size: 3}\noptimizer: {lr: 1}\n"))
    for mistake in (
        "modle: mlp",
        "model: {hiden: [3]}",
        "model: {name: mlp, hiden: [3]}",
        "trainer: {kep: 1}",
        "metrics: [{k: 1}]",
    ):
        assert not validator.is_valid(read(f"extends: other.yaml\n{mistake}\n"))


def test_every_reference_stands_at_the_top_where_draft_7_looks_for_it(described):
    found = []

    def walk(node, path=()):
        if isinstance(node, dict):
            found.extend([node["$ref"]] if "$ref" in node else [])
            assert "$ref" not in node or set(node) == {"$ref"}, path
            assert not {"$defs", "prefixItems"} & set(node), path
            for key, inner in node.items():
                walk(inner, (*path, key))
        for item in node if isinstance(node, list) else []:
            walk(item, path)

    walk(described)
    assert {ref.removeprefix("#/definitions/") for ref in found} == set(described["definitions"])


def test_every_component_is_described(described):
    for kind in ("task", "data set", "model", "optimizer", "schedule", "metric", "logger"):
        for name in registry.REGISTRIES[kind].names():
            one = described["definitions"][f"{kind.replace(' ', '_')}-{name}"]
            assert one["description"] == registry.REGISTRIES[kind].summary(name)
            assert set(registry.REGISTRIES[kind].signatures[name].choices) <= set(one["properties"])
