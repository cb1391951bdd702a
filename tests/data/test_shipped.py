"""The tables of scikit-learn, read without it, are those that its own functions give."""

import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from sklearn import datasets

from dlx.data import shipped


@pytest.mark.parametrize("name", shipped.COLUMNS)
def test_a_table_is_that_of_scikit_learn_to_the_last_bit(name, monkeypatch):
    bunch = getattr(datasets, f"load_{name}")(**({"scaled": False} if name == "diabetes" else {}))
    monkeypatch.setattr(shipped, "_loaded", pytest.fail)  # its files are where they are looked for
    table = shipped.read(name)
    assert (table.data.dtype, table.target.dtype) == (bunch.data.dtype, bunch.target.dtype)
    assert np.array_equal(table.data, bunch.data)
    assert np.array_equal(table.target, bunch.target)
    assert table.columns == list(bunch.feature_names)
    assert table.classes == [str(label) for label in bunch.get("target_names", [])]


@pytest.mark.parametrize("name", shipped.COLUMNS)
def test_where_the_files_lie_elsewhere_scikit_learn_gives_the_same(name, monkeypatch):
    table = shipped.read(name)
    monkeypatch.setattr(shipped, "_folder", lambda: Path("elsewhere"))
    other = shipped.read(name)
    assert np.array_equal(table.data, other.data)
    assert np.array_equal(table.target, other.target)
    assert (table.columns, table.classes) == (other.columns, other.classes)


def test_reading_imports_no_scikit_learn():
    code = "import sys; from dlx.data import shipped; [*map(shipped.read, shipped.COLUMNS)]; print('sklearn' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], capture_output=True, text=True).stdout == "False\n"
