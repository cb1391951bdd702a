"""A short draw from benchmarks/fuzz_readers.py: hostile inputs to every reader end in a value or in one message."""

import subprocess
import sys
from pathlib import Path

import pytest

from fuzz.mutations import shrink
from fuzz.trial import READERS

SCRIPT = Path(__file__).parents[2] / "benchmarks" / "fuzz_readers.py"
INPUTS = {"run": 60}  # each draws a figure


@pytest.mark.parametrize("reader", READERS)
def test_a_hostile_input_is_a_value_or_one_message(reader):
    inputs = INPUTS.get(reader, 300)
    command = [
        sys.executable,
        SCRIPT,
        "--reader",
        reader,
        "--inputs",
        str(inputs),
        "--seconds",
        "300",
    ]  # no verdict by the clock
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.stdout == f"{reader}: {inputs} inputs, 0 kinds of findings\n", done.stdout + done.stderr


@pytest.fixture
def attempted(tmp_path):
    """Try a call as an input is tried, in a process of its own, for the watch stays for ever."""

    def attempting(body):
        (tmp_path / "work").mkdir()
        code = (
            "import os, sys, pathlib\nsys.path.insert(0, sys.argv[1])\nfrom fuzz.guard import Watch, attempt\n"
            "from dlx.errors import DlxError\nwork = pathlib.Path(sys.argv[2])\nos.chdir(work)\n"
            f"def call():\n    {body}\n"
            "print(attempt(call, Watch([work], work.parent / 'secret'), 300))\n"
        )
        command = [sys.executable, "-c", code, SCRIPT.parent, tmp_path / "work"]
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()

    return attempting


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ("pass", "None"),
        ("open('x', 'w').close()", "None"),
        ("raise DlxError('told')", "None"),
        ("raise DlxError(' ')", "a message that says nothing"),
        ("return 'a wrong value'", "a wrong value"),
        ("{}['key']", "KeyError in outside dlx"),
        ("raise MemoryError", "MemoryError"),
        ("open('../x', 'w').close()", "touched: open"),
        ("os.rename('../x', 'y')", "touched: os.rename"),
        ("open('../secret')", "touched: open"),
        ("os.symlink('../secret', 'link'); open('link')", "touched: open"),
        ("os.system('true')", "touched: os.system"),
    ],
)
def test_what_an_input_may_not_do_is_found(attempted, tmp_path, body, found):
    for name in ("x", "secret"):
        (tmp_path / name).touch()
    assert attempted(body).startswith(found)


def test_an_input_is_cut_down_to_what_fails():
    assert shrink(b"much that is before BAD and behind", lambda content: b"BAD" in content, 1000) == b"BAD"
