"""What a newcomer's component gets wrong is told in one message with the file and the line."""

import json
import textwrap
from pathlib import Path

import pytest

from dlx import registry
from dlx.assembly import experiment
from dlx.config import spec
from dlx.config.values import SpecError
from dlx.errors import UsageError
from dlx.registry import FACTS, REGISTRIES

CONFIG = "task: classification\ndata: iris\nmodel: mine\nepochs: 1\n"
MODEL = """
from typing import Any
from torch import nn
from dlx.registry import models

@models("mine")
class Mine(nn.Module):
    def __init__(self, {parameters}):
        super().__init__()
        self.map = nn.Linear(num_features, num_classes)

    def forward(self, input):
        return self.map(input)
"""
OTHER = '''
from dlx.core import {base}
from dlx.registry import {kind}

@{kind}("mine")
class Mine({extends}):
    """One of the user's own."""
{body}
'''


@pytest.fixture(autouse=True)
def _forgotten(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with registry.models.scratch(), registry.metrics.scratch(), registry.tasks.scratch(), registry.sources.scratch():
        yield


def load(text: str) -> None:
    Path("mine.py").write_text(text)
    registry.load_plugin("mine.py")


def refusal(text: str) -> str:
    with pytest.raises(UsageError) as told:
        load(text)
    return str(told.value).removeprefix(f"{Path.cwd()}/")


@pytest.mark.parametrize(
    ("choice", "message"),
    [
        ("size=64", "mine.py:8: Mine: the setting 'size' has no type; write one, such as size: int = 3"),
        ("size", "mine.py:8: Mine: the setting 'size' has no type"),
        (
            "size: int = None",
            "mine.py:8: model 'mine': the setting 'size' is null by default, and its type is not; add ' | None'",
        ),
        ("size: int = 'a'", "mine.py:8: model 'mine': the default of 'size' wants a whole number, not 'a'"),
        (
            "size: nn.Module = None",
            "mine.py:8: model 'mine': the setting 'size' has the type Module, which no value in YAML has",
        ),
    ],
)
def test_a_setting_that_no_config_could_give_is_refused_at_its_line(choice, message):
    assert refusal(MODEL.format(parameters=f"num_features: int, num_classes: int, *, {choice}")).startswith(message)


def test_a_setting_may_be_anything_where_its_author_says_so():
    load(MODEL.format(parameters="num_features: int, num_classes: int, *, size: Any = None, other: int | None = None"))
    assert list(registry.models.signatures["mine"].choices) == ["size", "other"]


def test_a_forgotten_star_is_told(caplog):
    load(MODEL.format(parameters="num_features: int, num_classes: int, hidden_size: int"))
    with pytest.raises(SpecError) as told:
        experiment.prepare(spec.parse(CONFIG, "x.yaml"))
    assert "needs the fact 'hidden_size'; data 'iris' offers class_counts" in str(told.value)
    assert "a setting of the config stands behind a star: (..., *, hidden_size)" in str(told.value)
    with pytest.raises(SpecError, match=r"model\.hidden_size: is no setting, since it stands before the star"):
        experiment.prepare(spec.parse(CONFIG.replace("mine", "{name: mine, hidden_size: 3}"), "x.yaml"))


def test_a_forgotten_star_before_a_default_is_warned_of(caplog):
    load(MODEL.format(parameters="num_features: int, num_classes: int = 3, hidden_size: int = 8"))
    assert caplog.messages == [
        f"{Path.cwd()}/mine.py:8: model 'mine': 'hidden_size' stands before the star, so a data set must give it, and none of "
        "dlx's does; settings stand behind a star"
    ]


def test_a_component_without_a_description_has_none_and_not_torchs():
    load(MODEL.format(parameters="num_features: int, num_classes: int"))
    assert registry.models.summary("mine") == registry.models.about("mine") == ""
    from dlx.commands.listing import listing, render
    from dlx.commands.show import show_name

    assert "\nmine                  " in "\n" + render(listing("model")).replace("(no", "       (no")
    assert "(no description)" in render(listing("model"))
    assert "Base class" not in show_name("mine")


UPDATE = "    def update(self, prediction, batch): ...\n    def compute(self): return {}\n"


@pytest.mark.parametrize(
    ("kind", "base", "extends", "body", "message"),
    [
        ("metrics", "Metric", "Metric", UPDATE, "metric 'mine': the class Mine does not define merge(self, other)"),
        ("metrics", "Metric", "", UPDATE, "metric 'mine': the class Mine must extend Metric (from dlx.core import Metric)"),
        ("models", "Metric", "", "", "model 'mine': the class Mine must extend Module (from torch.nn import Module)"),
        (
            "sources",
            "Source",
            "Source",
            "",
            "data set 'mine': the class Mine does not define evaluate(self, actor, split), train(",
        ),
        ("tasks", "Task", "Task", "", "task 'mine': the class Mine does not define forward(self, batch), predict(self, batch)"),
        ("tasks", "Task", "Task", "    def losses(self, batch): ...\n", "task 'mine': the class Mine does not define predict("),
    ],
)
def test_a_class_that_lacks_what_all_of_its_kind_have_is_refused(kind, base, extends, body, message):
    assert refusal(OTHER.format(kind=kind, base=base, extends=extends, body=body)).startswith(f"mine.py:5: {message}")


def test_a_function_that_gives_something_else_is_told():
    load('from dlx.registry import sources\n\n@sources("mine")\ndef mine(seed: int):\n    """Give nothing."""\n')
    with pytest.raises(SpecError, match="data set 'mine' gives NoneType, and not a Source"):
        experiment.prepare(spec.parse(CONFIG.replace("iris", "mine").replace("model: mine", "model: mlp"), "x.yaml"))


def test_every_fact_that_a_component_asks_for_is_known():
    for known in REGISTRIES.values():
        for name in known.names():
            if known.kind not in ("optimizer", "processor"):
                assert set(known.signatures[name].facts) <= FACTS, (known.kind, name)


# The plugin of a training is missed by name afterwards.


@pytest.fixture
def trained():
    """Train a model of a plugin, and forget it."""
    from dlx.commands.train import train

    with registry.models.scratch():
        load(MODEL.format(parameters="num_features: int, num_classes: int"))
        train_with = Path("x.yaml")
        train_with.write_text(CONFIG)
        train("x.yaml", [], name="one", resume=False, runs=Path("runs"), quiet=True)
    file = Path("runs/one/environment.json")
    environment = json.loads(file.read_text())
    return lambda command: file.write_text(json.dumps({**environment, "command": command}))


@pytest.mark.parametrize(
    ("command", "files"),
    [
        (["dlx", "train", "x.yaml", "--plugin", "mine.py"], "--plugin mine.py"),
        (["dlx", "train", "--plugin=a.py", "x.yaml", "--plugin", "b.py"], "--plugin b.py --plugin a.py"),
        (["dlx", "train", "x.yaml"], "--plugin FILE"),
        (3, "--plugin FILE"),
        (None, "--plugin FILE"),
    ],
)
def test_what_a_run_was_trained_with_is_asked_for(trained, command, files):
    from dlx.commands.evaluate import evaluate
    from dlx.commands.predict import predict
    from dlx.commands.train import train

    trained(command)
    if command is None:
        Path("runs/one/environment.json").unlink()
    for act in (
        lambda: evaluate("runs/one", [], "test"),
        lambda: list(predict("runs/one", ["1,2,3,4"], [])),
        lambda: train("runs/one", [], name=None, resume=True, runs=Path("runs")),
        lambda: train("x.yaml", [], name="one", resume=True, runs=Path("runs")),
    ):
        with pytest.raises(SpecError) as told:
            act()
        assert f"'mine': unknown model; was it trained with {files}? Give that here too" in str(told.value)


def test_an_unknown_name_does_not_list_a_hundred():
    with pytest.raises(SpecError) as told:
        experiment.prepare(spec.parse(CONFIG.replace("mine", "no_such_thing_at_all"), "x.yaml"))
    assert "unknown model; dlx list-models names all there are, and --plugin FILE brings one of your own" in str(told.value)
    assert len(str(told.value)) < 300


def test_a_plugin_s_own_fault_names_the_line_of_its_file():
    text = textwrap.dedent(MODEL.format(parameters="num_features: int, num_classes: int")).replace('"mine"', '"mlp"')
    assert "ValueError: model 'mlp' is already registered (" + f"{Path.cwd()}/mine.py:6)" in refusal(text)


# A plugin file.

PLUGIN_FILE = '''
from torch import nn
from dlx.registry import models

@models("{name}")
class Model(nn.Linear):
    """A linear map."""

    def __init__(self, num_features: int, num_classes: int, *, scale: float = 1.0):
        super().__init__(num_features, num_classes)
'''


def test_a_plugin_file_adds_a_component(tmp_path):
    (tmp_path / "mine.py").write_text(PLUGIN_FILE.format(name="my_linear"))
    registry.load_plugin(str(tmp_path / "mine.py"))
    assert registry.models.summary("my_linear") == "A linear map."
    assert list(registry.models.signatures["my_linear"].choices) == ["scale"]


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (PLUGIN_FILE.format(name="mlp"), "ValueError: model 'mlp' is already registered ("),
        ("def f(:\n", "SyntaxError: "),
        ("import no_such_module_anywhere\n", "ModuleNotFoundError: No module named 'no_such_module_anywhere' ("),
        ("\n1 / 0\n", "ZeroDivisionError: division by zero ({file}:2)"),
    ],
)
def test_a_plugin_that_fails_is_told_in_one_message(tmp_path, text, message):
    file = tmp_path / "broken.py"
    file.write_text(text)
    with pytest.raises(UsageError) as caught:
        registry.load_plugin(str(file))
    assert str(caught.value).startswith(f"--plugin {file}: {message.format(file=file)}")


@pytest.mark.parametrize("name", ["none.py", "none.txt", "."])
def test_a_plugin_that_is_no_python_file_is_told(tmp_path, name):
    with pytest.raises(UsageError, match="--plugin: no Python file"):
        registry.load_plugin(str(tmp_path / name))
