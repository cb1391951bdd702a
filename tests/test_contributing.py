"""CONTRIBUTING.md, followed by a newcomer to the letter."""

import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

PAGE = (Path(__file__).parents[1] / "CONTRIBUTING.md").read_text()
FILES = dict(re.findall(r"^`([\w.]+)`:\n\n```\w+\n(.*?)```", PAGE, re.DOTALL | re.MULTILINE))


def run(*command, cwd, **more):
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, env={**os.environ, **more})
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


@pytest.fixture
def folder(tmp_path):
    assert set(FILES) == {"my_plugin.py", "flowers.yaml", "test_my_plugin.py", "pyproject.toml"}
    for name, text in FILES.items():
        (tmp_path / name).write_text(text)
    return tmp_path


def test_a_file_of_ones_own_is_enough(folder):
    lines = re.findall(r"^dlx (.*--plugin my_plugin.py)$", PAGE, re.MULTILINE)
    assert [line.split()[0] for line in lines] == ["check", "train", "eval"]
    said = [run(sys.executable, "-m", "dlx", *line.split(), cwd=folder) for line in lines]
    assert "all is well" in said[0]
    assert "hesitation" in said[2]


def test_its_tests_pass(folder):
    run(sys.executable, "-m", "pytest", "-p", "no:randomly", "-p", "no:cacheprovider", "test_my_plugin.py", cwd=folder)


def test_an_installed_package_needs_no_option(folder):
    """What `pip install .` leaves: the module and the package's metadata, on the path of Python."""
    place = folder / "site"
    metadata = place / "my_plugin-0.1.dist-info"
    metadata.mkdir(parents=True)
    (place / "my_plugin.py").write_text(FILES["my_plugin.py"])
    (metadata / "METADATA").write_text("Metadata-Version: 2.1\nName: my-plugin\nVersion: 0.1\n")
    group, entry = re.search(r'^\[project.entry-points."(.*)"\]\n(.*)$', FILES["pyproject.toml"], re.MULTILINE).groups()
    (metadata / "entry_points.txt").write_text(f"[{group}]\n{entry.replace(chr(34), '')}\n")
    path = os.pathsep.join(filter(None, [str(place), os.environ.get("PYTHONPATH", "")]))
    (folder / "my_plugin.py").unlink()
    assert "Two hidden layers" in run(sys.executable, "-m", "dlx", "show", "two_towers", cwd=folder, PYTHONPATH=path)
