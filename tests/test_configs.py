import contextlib
import copy
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from tests.helpers.one_edit import CONFIGS, NAMES, copy_configs, one_edit

from dlx.assembly import planner
from dlx.config import spec, yaml_reader
from dlx.config.spec import SpecError
from dlx.registry.types import ExistingPath


@pytest.fixture(scope="module")
def configs(tmp_path_factory):
    return copy_configs(tmp_path_factory.mktemp("shipped"))


@pytest.fixture(autouse=True)
def _data_is_there(monkeypatch):
    monkeypatch.setattr(ExistingPath, "check", lambda self, value, path: (value, []))


@pytest.mark.parametrize("name", NAMES)
def test_every_config_is_right(name):
    plan = planner.plan(spec.load(CONFIGS / name))
    again = planner.plan(spec.parse(yaml_reader.dump(plan.resolved()), "resolved"))
    assert again.resolved() == plan.resolved()


@pytest.mark.parametrize("name", NAMES)
def test_every_config_says_what_it_is_about(name):
    first = (CONFIGS / name).read_text().splitlines()[0]
    assert first.startswith("# ")
    assert Path(name).parts[:-1], "a config stands in the folder of its task"


@settings(max_examples=1000, suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.filter_too_much])
@given(one_edit())
def test_one_edit_at_any_key_is_refused_where_it_stands_with_the_right_word(configs, edit):
    name, key, edited, text = edit
    file = configs / name
    file.write_text(text)
    try:
        with pytest.raises(SpecError) as caught:
            planner.plan(spec.load(file))
    finally:
        file.write_text((CONFIGS / name).read_text())
    assert caught.value.code == 2
    here = [line for line in str(caught.value).splitlines() if line.startswith(f"{file}:{key.line}:{key.column} ")]
    told = [line for line in here if f"{edited}: unknown" in line]
    assert told, str(caught.value)
    assert f"'{key.word}'" in told[0].partition("did you mean ")[2], told[0]


@pytest.mark.parametrize("name", NAMES)
def test_one_edit_in_an_override_is_refused_and_names_the_override(name):
    with pytest.raises(SpecError) as caught:
        planner.plan(spec.load(CONFIGS / name, ["optimizr.lr=1", "trainer.kep=2", "modl.name=a"]))
    assert str(caught.value).splitlines() == [
        "override 'modl.name=a':   modl: unknown section; did you mean 'model'?",
        "override 'optimizr.lr=1': optimizr: unknown section; did you mean 'optimizer'?",
    ]
    with pytest.raises(SpecError) as caught:
        planner.plan(spec.load(CONFIGS / name, ["trainer.kep=2", "device.thread=1", "data.batch_siz=1"]))
    assert str(caught.value).splitlines() == [
        "override 'data.batch_siz=1': data.batch_siz: unknown key; did you mean 'batch_size'?",
        "override 'device.thread=1':  device.thread: unknown key; did you mean 'threads'?",
        "override 'trainer.kep=2':    trainer.kep: unknown key; did you mean 'keep'?",
    ]


JUNK = [
    None,
    True,
    -1,
    0,
    3,
    0.5,
    float("nan"),
    float("inf"),
    2**63,
    "",
    "x",
    "relu",
    "num_classes",
    [],
    [[]],
    [None],
    ["x"],
    [3],
]
JUNK += [{}, {"name": None}, {"name": "adam"}, {"": 1}, {"x": {"y": [None]}}, {"0": "adam"}, "\n", "🙂", "~", "a.b[0]"]


def paths(values, path=()):
    yield path
    for key, inner in values.items() if isinstance(values, dict) else enumerate(values) if isinstance(values, list) else ():
        yield from paths(inner, (*path, key))


@settings(max_examples=400, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.sampled_from(NAMES), st.data())
def test_any_junk_in_place_of_any_value_is_refused_or_taken_but_never_a_crash(name, data):
    values = copy.deepcopy(spec.load(CONFIGS / name).values)
    path = data.draw(st.sampled_from(list(paths(values))[1:]))
    inside = values
    for key in path[:-1]:
        inside = inside[key]
    inside[path[-1]] = copy.deepcopy(data.draw(st.sampled_from(JUNK)))
    with contextlib.suppress(SpecError):
        yaml_reader.dump(planner.plan(spec.parse(yaml_reader.dump(values), "x.yaml")).resolved())
