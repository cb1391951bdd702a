"""The commands from a config to answers, and what they list and show."""

import json
import textwrap
from functools import partial
from pathlib import Path

import pytest
from tests.helpers.command_line import typed
from tests.test_cli import IRIS


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("iris.yaml").write_text(IRIS)


@pytest.fixture
def dlx(monkeypatch, capsys):
    """Run a command in this process: its exit code, standard output and standard error."""

    return partial(typed, monkeypatch, capsys)


@pytest.fixture
def forgotten():
    """Forget the models of plugins."""
    from dlx.registry import models

    with models.scratch():
        yield


# Listing and showing.


@pytest.mark.parametrize(("command", "name"), [("list-models", "mlp"), ("list-datasets", "iris"), ("list-tasks", "regression")])
def test_lists(dlx, command, name):
    code, out, _ = dlx(command)
    assert code == 0
    assert any(line.startswith(f"{name} ") for line in out.splitlines())
    rows = json.loads(dlx(command, "--json")[1])
    assert name in [row["name"] for row in rows]
    assert {key for row in rows for key in row} == {"name", "summary", "facts"}
    assert "model" not in {fact for row in rows for fact in row["facts"]}


def test_a_component_is_shown_with_facts_and_choices(dlx):
    _, out, _ = dlx("show", "sequential")
    assert out.startswith("model sequential\n\n  Layers one after the other")
    assert "  facts    input_shape\n" in out
    assert "  layers  list of layers; required\n" in out
    _, out, _ = dlx("show", "adam")
    assert "  lr " in out
    assert "  no_decay " in out
    assert "math" not in out


def test_a_config_is_shown_with_all_its_defaults_and_stays_the_same(dlx):
    _, out, _ = dlx("show", "iris.yaml", "seed=3")
    assert "seed: 3\n" in out
    assert "  weight_decay: 0" in out
    Path("resolved.yaml").write_text(out)
    assert dlx("show", "resolved.yaml")[1] == out


def test_schema_is_json(dlx):
    _, out, _ = dlx("schema")
    assert json.loads(out)["$schema"] == "http://json-schema.org/draft-07/schema#"


# From a config to answers.


def test_check_tries_an_experiment_in_small(dlx):
    code, out, _ = dlx("check", "iris.yaml")
    assert code == 0
    assert "131 parameters" in out or "parameters      131 " in out
    assert out.endswith("iris.yaml: all is well\n")
    assert not Path("runs").exists()


def test_train_eval_and_predict(dlx):
    code, out, err = dlx("train", "iris.yaml", "--name", "one", "--seed", "3")
    assert (code, out) == (0, "runs/one\n")
    assert "best at step" in err
    code, out, _ = dlx("eval", "runs/one", "--json")
    numbers = json.loads(out)
    assert code == 0
    assert numbers["split"] == "test"
    assert {"test/accuracy", "baseline/accuracy"} <= set(numbers)
    code, out, _ = dlx("predict", "runs/one/best", "5.1,3.5,1.4,0.2", "6.7,3.0,5.2,2.3", "--json")
    assert code == 0
    assert len([json.loads(line) for line in out.splitlines()]) == 2
    code, out, _ = dlx("show", "one")
    assert code == 0
    assert out.startswith("run runs/one: finished, step ")
    assert "seed: 3\n" in Path("runs/one/config.yaml").read_text()


def test_train_gives_its_result_as_json(dlx):
    code, out, _ = dlx("train", "iris.yaml", "--json", "epochs=1")
    assert code == 0
    assert json.loads(out)["run"] == "runs/iris"
    assert "val/accuracy" in json.loads(out)


@pytest.mark.usefixtures("forgotten")
def test_a_model_of_a_plugin_trains(dlx):
    Path("mine.py").write_text(
        textwrap.dedent('''
            from torch import nn
            from dlx.registry import models

            @models("my_linear")
            class MyLinear(nn.Module):
                """A linear map of the user's own."""

                def __init__(self, num_features: int, num_classes: int, *, bias: bool = True):
                    super().__init__()
                    self.map = nn.Linear(num_features, num_classes, bias=bias)

                def forward(self, input):
                    return self.map(input)
        ''')
    )
    assert dlx("train", "iris.yaml", "model=my_linear")[0] == 2
    code, out, _ = dlx("train", "iris.yaml", "model={name: my_linear, bias: false}", "epochs=1", "--plugin", "mine.py")
    assert (code, out) == (0, "runs/iris\n")
    _, _, err = dlx("train", "iris.yaml", "model={name: my_linear, bia: false}")
    assert "model.bia: unknown key; did you mean 'bias'?" in err
