"""`dlx configs`, and configs by their names."""

from pathlib import Path

import pytest

from dlx.commands.check import check
from dlx.commands.configs import configs
from dlx.commands.show import show
from dlx.commands.train import train
from dlx.config import shipped
from dlx.errors import UsageError

ROOT = Path(__file__).parents[2]


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def test_all_of_them_are_listed_with_a_line():
    lines = configs(None, None).splitlines()
    files = sorted(ROOT.glob("configs/*/*.yaml"))
    assert [line.split()[0] for line in lines] == sorted(f"{file.parent.name}/{file.stem}" for file in files)
    assert all(len(line.split(maxsplit=1)[1]) > 20 for line in lines)


@pytest.mark.parametrize("name", ["iris_mlp", "tabular/iris_mlp", "iris_mlp.yaml", "configs/tabular/iris_mlp.yaml"])
def test_one_is_found_by_its_name(name):
    assert configs(name, None) == (ROOT / "configs/tabular/iris_mlp.yaml").read_text().rstrip("\n")


def test_no_two_have_one_name():
    short = [name.rpartition("/")[2] for name in shipped.names()]
    assert len(set(short)) == len(short)


def test_one_is_copied_and_overwrites_nothing():
    assert configs("iris_mlp", Path("mine.yaml")) == "wrote mine.yaml"
    with pytest.raises(UsageError, match="exists, and nothing is overwritten"):
        configs("iris_mlp", Path("mine.yaml"))
    with pytest.raises(UsageError, match="cannot write no/such/place"):
        configs("iris_mlp", Path("no/such/place"))
    with pytest.raises(UsageError, match="copies one config"):
        configs(None, Path("x.yaml"))


def test_a_near_miss_is_told():
    with pytest.raises(UsageError, match="did you mean 'tabular/iris_mlp'"):
        configs("iris_mpl", None)
    with pytest.raises(UsageError, match=r"iris_mpl.yaml: no such file; .* did you mean 'tabular/iris_mlp'"):
        train("iris_mpl.yaml", [], name=None, resume=False, runs=Path("runs"))
    with pytest.raises(UsageError, match="No such file or directory"):
        train("nothing_like_it_at_all", [], name=None, resume=False, runs=Path("runs"))


def test_commands_take_the_name_where_no_such_file_is():
    found = train("iris_mlp", ["epochs=1"], name=None, resume=False, runs=Path("runs"), quiet=True)
    assert found["run"] == "runs/iris_mlp"
    assert "all is well" in check("xor_mlp", [])
    assert "hidden" in show("iris_mlp", []) or "layers" in show("iris_mlp", [])
    Path("iris_mlp").write_text("task: nothing\n")
    with pytest.raises(UsageError, match="iris_mlp:1:1"):  # a file of that name comes first
        train("iris_mlp", [], name=None, resume=False, runs=Path("runs"))
