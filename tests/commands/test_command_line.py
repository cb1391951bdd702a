"""What is typed and what is read: rows that look like options, control characters, help within 80 columns."""

import io
import json
import logging
import os
import subprocess
import sys
from functools import partial
from pathlib import Path

import pytest
from tests.helpers.command_line import typed
from tests.test_cli import IRIS

from dlx import cli
from dlx.commands import terminal

EVIL = "\x1b]0;owned\x07\u202e"
ESCAPED = r"\x1b]0;owned\x07\u202e"


@pytest.fixture(autouse=True)
def _folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("iris.yaml").write_text(IRIS)


@pytest.fixture
def dlx(monkeypatch, capsys):
    """Run a command in this process: its exit code, standard output and standard error."""

    return partial(typed, monkeypatch, capsys)


# Rows that begin with a dash.


@pytest.fixture
def given(monkeypatch):
    """Catch what `dlx predict` is asked for."""
    from dlx.commands import predict

    caught = []
    monkeypatch.setattr(predict, "predict", lambda path, inputs, *rest, **more: caught.append((path, inputs, more)) or iter(()))
    return caught


@pytest.mark.parametrize(
    "row",
    ["-1.2,0.8", "-1", "-.5,3", "-1e3,2", "-inf,1", "-nan,1", "-,1", "-a,b", "-3,\"x,y\"", "-1,\n", "-0.5", "-INF", "-1;2"],
)  # fmt: skip
def test_a_row_that_begins_with_a_dash_is_a_row(dlx, given, row):
    assert dlx("predict", "RUN", row)[0] == 0
    assert given.pop()[:2] == ("RUN", [row])
    assert dlx("predict", "--seed", "1", row, "--json", "other.csv", row, "--device", "cpu")[0] == 0
    assert given.pop()[:2] == (row, ["other.csv", row])


def test_options_are_options_and_their_values_stay_theirs(dlx, given):
    assert dlx("predict", "RUN", "-1,2", "--explain", "--output", "-3,4", "--skip-bad")[0] == 0
    path, inputs, more = given.pop()
    assert (path, inputs) == ("RUN", ["-1,2"])
    assert (str(more["output"]), more["explaining"], more["skip_bad"]) == ("-3,4", True, True)


def test_behind_two_dashes_everything_is_an_input(dlx, given):
    assert dlx("predict", "RUN", "-1,2", "--", "--json", "-x", "--", "-1")[0] == 0
    assert given.pop()[:2] == ("RUN", ["-1,2", "--json", "-x", "--", "-1"])
    assert dlx("predict", "RUN", "-")[0] == 0
    assert given.pop()[1] == ["-"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["RUN", "-1,2", "--explian"], "No such option: --explian"),
        (["RUN", "-x"], "No such option: -x"),
        (["RUN", "-1,2", "--output"], "Option '--output' requires an argument"),
        (["RUN", "-1,2", "--seed", "a"], "Invalid value for '--seed'"),
    ],
)
def test_a_misspelt_option_is_none_of_the_inputs(dlx, given, arguments, message):
    code, _, err = dlx("predict", *arguments)
    assert (code, given) == (2, [])
    assert message in err


def test_a_negative_row_is_answered(dlx):
    assert dlx("train", "iris.yaml", "epochs=1", "--name", "one")[0] == 0
    code, out, _ = dlx("predict", "runs/one", "-1.2,0.8,1,2", "--json")
    assert code == 0
    assert "label" in json.loads(out) or out


# Control characters.


@pytest.mark.parametrize(
    "arguments",
    [
        ["train", f"{EVIL}.yaml"],
        ["train", "iris.yaml", f"{EVIL}=1"],
        ["train", "iris.yaml", f"model.{EVIL}=1"],
        ["train", "iris.yaml", f"metrics=[{json.dumps(EVIL)}]"],
        ["train", "iris.yaml", f"--{EVIL}"],
        [f"train{EVIL}"],
        ["train", "iris.yaml", "--runs", EVIL, "--nope"],
        ["show", EVIL],
        ["eval", EVIL],
        ["predict", EVIL, "1,2"],
        ["check", "iris.yaml", "--plugin", f"{EVIL}.py"],
    ],
)
def test_no_message_acts_on_the_terminal(dlx, arguments):
    code, out, err = dlx(*arguments)
    assert code == 2
    assert not {"\x1b", "\x07", "\u202e"} & set(out + err)
    assert "x1b" in err or EVIL not in arguments[-1:]


def test_a_file_name_that_is_no_utf_8_is_told(tmp_path):
    environment = {**os.environ, "PYTHONIOENCODING": "utf-8"}
    command = [sys.executable, "-m", "dlx", "train", b"\xff.yaml"]
    done = subprocess.run(command, capture_output=True, check=False, env=environment)
    assert (done.returncode, done.stderr) == (2, b"\\udcff.yaml: No such file or directory\n")


def test_the_status_of_a_run_is_shown_escaped(dlx):
    assert dlx("train", "iris.yaml", "epochs=1", "--name", "one")[0] == 0
    status = Path("runs/one/status.json")
    status.write_text(json.dumps({**json.loads(status.read_text()), "reason": EVIL}))
    _, out, _ = dlx("show", "one")
    assert ESCAPED in out
    assert "\x1b" not in out


def test_data_for_machines_come_out_byte_for_byte(monkeypatch):
    from dlx.commands import predict

    monkeypatch.setattr(predict, "predict", lambda *given, **more: iter([{"label": EVIL, "file": "\udcff.png"}]))
    raw = io.BytesIO()
    monkeypatch.setattr(sys, "stdout", io.TextIOWrapper(raw, encoding="utf-8"))
    monkeypatch.setattr(sys, "argv", ["dlx", "predict", "RUN", "1,2"])
    with pytest.raises(SystemExit):
        cli.main()
    assert raw.getvalue() == f"label,file\n{EVIL},".encode() + b"\xff.png\n"


def test_what_components_say_is_escaped(capsys, monkeypatch):
    log = logging.getLogger("dlx")
    monkeypatch.setattr(log, "handlers", [])
    terminal.prepare(None)
    log.warning("%s is strange", EVIL)
    assert capsys.readouterr().err == f"{ESCAPED} is strange\n"


# Help.


def test_help_cuts_no_description_at_80_columns(dlx, monkeypatch):
    monkeypatch.setenv("COLUMNS", "80")
    _, out, _ = dlx("--help")
    assert not [line for line in out.splitlines()[1:] if line.endswith("...")]
    assert max(map(len, out.splitlines())) <= 80
