"""The README is true: its experiment runs, its errors come out as printed, its commands exist."""

import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from dlx.assembly import planner
from dlx.assembly.experiment import prepare
from dlx.cli import app
from dlx.commands.train import train
from dlx.config import spec

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text()
EXPERIMENT = re.search(r"```yaml\n(.*?)```", README, re.DOTALL)[1]


@pytest.fixture
def flowers(tmp_path, monkeypatch):
    from sklearn.datasets import load_iris

    bunch = load_iris()
    rows = [",".join([*map(str, row), bunch.target_names[label]]) for row, label in zip(bunch.data, bunch.target, strict=True)]
    (tmp_path / "flowers.csv").write_text("a,b,c,d,species\n" + "\n".join(rows) + "\n")
    (tmp_path / "flowers.yaml").write_text(EXPERIMENT)
    monkeypatch.chdir(tmp_path)


@pytest.mark.usefixtures("flowers")
def test_the_experiment_trains():
    result = train("flowers.yaml", ["epochs=3"], name=None, resume=False, runs=Path("runs"), quiet=True)
    assert result["run"] == "runs/flowers"


@pytest.mark.usefixtures("flowers")
def test_the_errors_come_out_as_printed():
    misspelt, misfit = re.search(r"\n(flowers.yaml:.*learning_rate.*)\n(flowers.yaml:.*)\n", README).groups()
    wrong = EXPERIMENT.replace("lr:", "learning_rate:")
    Path("flowers.yaml").write_text(wrong)
    with pytest.raises(spec.SpecError) as told:
        planner.plan(spec.load("flowers.yaml"))
    assert re.sub(r" +", " ", str(told.value)) == re.sub(r" +", " ", misspelt)
    Path("flowers.yaml").write_text(EXPERIMENT.replace("dense: num_classes", "dense: 64"))
    with pytest.raises(spec.SpecError) as told:
        prepare(spec.load("flowers.yaml"))
    assert re.sub(r" +", " ", str(told.value)) == re.sub(r" +", " ", misfit)


def test_every_command_is_told_and_every_command_told_exists():
    from typer.main import get_command

    told = set(re.findall(r"`dlx ([a-z-]+)", README)) | {"list-datasets", "list-tasks"}
    assert told == set(get_command(app).commands)


def test_every_config_named_exists():
    assert all((ROOT / name).is_file() for name in re.findall(r"configs/[\w/.]+\.yaml", README))


def test_it_counts_the_configs():
    tens = {2: "twenty", 3: "thirty", 4: "forty", 5: "fifty", 6: "sixty", 7: "seventy", 8: "eighty", 9: "ninety"}
    units = ["", "-one", "-two", "-three", "-four", "-five", "-six", "-seven", "-eight", "-nine"]
    count = len(list((ROOT / "configs").rglob("*.yaml")))
    assert f"[{tens[count // 10].capitalize()}{units[count % 10]} configs](configs)" in README


@pytest.mark.parametrize("document", ["README.md", "docs/design.md"])
def test_the_tree_names_every_room(document):
    text = (ROOT / document).read_text()
    tree = text[text.index("src/dlx/\n") :].partition("```")[0]
    listed = set(re.findall(r"^  (\w+(?:\.py)?)", tree, re.MULTILINE))
    rooms = {entry.name for entry in (ROOT / "src" / "dlx").iterdir() if not entry.name.startswith("__")}
    assert listed == rooms


def test_help_names_the_commands():
    result = CliRunner().invoke(app, ["--help"])
    assert result.exit_code == 0
    assert "list-models" in result.output
