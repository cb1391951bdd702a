"""One rule for a run's name, held before training; what was trained can always be read."""

from pathlib import Path

import pytest
from tests.helpers.training import IRIS

from dlx.commands.evaluate import evaluate
from dlx.commands.predict import predict
from dlx.commands.train import train
from dlx.config import spec
from dlx.errors import UsageError
from dlx.storage import checkpoint
from dlx.storage.locating import locate
from dlx.storage.naming import fault, fault_of_new

pytestmark = pytest.mark.usefixtures("blank_pictures")

LONGEST = 240


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    return tmp_path


def go(file, *overrides, name=None, resume=False):
    return Path(train(str(file), ["epochs=1", *overrides], name=name, resume=resume, runs=Path("runs"), quiet=True)["run"])


@pytest.mark.parametrize(
    "name", ["my config (1)", "größe 世界", "a.b", "-x", "null", "1e3", "a: b", "it's", "a" * LONGEST, "#x", "[0]"]
)
def test_a_config_s_name_is_the_run_s_and_can_be_read_by_every_command(here, name):
    (here / f"{name}.yaml").write_text(IRIS)
    run = go(f"{name}.yaml")
    assert run == Path("runs") / name
    assert spec.load(run / "config.yaml").values["name"] == name
    assert evaluate(name, [], "test")["step"] == 6
    assert next(predict(str(run), ["5.1,3.5,1.4,0.2"], []))["label"]
    assert go(run, "epochs=2", resume=True) == run
    assert locate(name).name == "step-00000012"


@pytest.mark.parametrize(
    "file", ["..yaml", "...yaml", ".hidden.yaml", "a\tb.yaml", "a\x1bb.yaml", "a\\b.yaml", "é" * 121 + ".yaml"]
)
def test_a_name_that_no_run_can_have_is_refused_before_training(here, file):
    (here / file).write_text(IRIS)
    with pytest.raises(UsageError, match=r"the run would be named .*; give another by --name") as caught:
        go(file)
    assert caught.value.code == 2
    assert sorted(path.name for path in here.iterdir()) == [file]
    assert go(file, name="mine") == Path("runs/mine")


@pytest.mark.parametrize("name", ["", "a\nb", "a" * (LONGEST + 1)])
def test_a_name_of_the_config_is_refused_with_its_place(here, name):
    (here / "iris.yaml").write_text(IRIS)
    with pytest.raises(UsageError, match="name: a run's name"):
        go("iris.yaml", "+name=" + ("''" if not name else '"' + name.replace("\n", "\\n") + '"'))
    assert not (here / "runs").exists()


def test_numbers_behind_a_long_name_fit(here):
    (here / f"{'a' * LONGEST}.yaml").write_text(IRIS)
    assert go(f"{'a' * LONGEST}.yaml").name == "a" * LONGEST
    assert go(f"{'a' * LONGEST}.yaml").name == "a" * LONGEST + "-2"


def test_a_run_is_gone_on_with_from_within(here, monkeypatch):
    (here / "iris.yaml").write_text(IRIS)
    run = go("iris.yaml").absolute()
    monkeypatch.chdir(run)
    go(".", "epochs=2", resume=True)
    assert spec.load("config.yaml").values["name"] == "iris"
    assert evaluate(".", [], "test")["step"] == 12


@pytest.mark.parametrize("name", ["", "a\tb", "x" * 255])
def test_a_run_that_an_earlier_version_named_otherwise_can_be_read(here, name):
    (here / "iris.yaml").write_text(IRIS)
    run = go("iris.yaml")
    folder = next(iter(checkpoint.steps(run / "checkpoints")))
    files = checkpoint.read(folder)
    escaped = name.replace("\t", "\\t")
    config = files["config.yaml"].decode().replace("name: iris\n", f'name: "{escaped}"\n', 1)
    checkpoint.write(folder, files | {"config.yaml": config.encode()})
    (run / "config.yaml").write_text(config)
    assert evaluate(str(run), [], "test")["step"] == 6
    assert go(run, "epochs=2", resume=True) == run


def test_the_limit_is_the_file_system_s(monkeypatch, tmp_path):
    assert fault_of_new("a" * 128, tmp_path / "absent" / "runs") is None
    monkeypatch.setattr("os.pathconf", lambda *_: 143)  # an encrypted home
    assert fault_of_new("a" * 128, tmp_path) is None
    assert fault_of_new("é" * 65, tmp_path) == f"a run's name has at most 128 bytes in {tmp_path}, not 130"
    assert fault("a" * 1000) is None  # it may have been trained elsewhere
