"""`dlx predict` of texts: a line in, a line out, in order, whatever the lines are."""

import io
import json
import re
import subprocess
import sys
from pathlib import Path

import pytest
from tests.helpers.small_texts import NUMBERS, judge, writer

import dlx
from dlx import cli
from dlx.commands import predict as command
from dlx.errors import UsageError


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return writer(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def judging(tmp_path_factory):
    return judge(tmp_path_factory.mktemp("feelings"))


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def typed(monkeypatch, capsys):
    """Run `dlx predict` in this process: its exit code, standard output and standard error."""

    def call(*arguments, given=""):
        monkeypatch.setattr(sys, "argv", ["dlx", "predict", *arguments])
        monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(given.encode())))
        capsys.readouterr()
        with pytest.raises(SystemExit) as caught:
            cli.main()
        out, err = capsys.readouterr()
        assert "Traceback" not in err
        return caught.value.code or 0, out, err

    return call


def plain(run, *inputs, overrides=()):
    return list(command.render(command.predict(run, list(inputs), list(overrides)), False))


LINES = "one two three\n\n  \neight\nsix six two\n"


def test_a_line_in_a_line_out_by_the_command(run, typed):
    call = [sys.executable, "-m", "dlx", "predict", run, "-"]
    piped = subprocess.run(call, input=LINES, capture_output=True, text=True, check=True)
    assert piped.stderr == ""
    one, empty, blank, eight, six = piped.stdout.split("\n")[:-1]
    assert (empty, blank) == ("", "")
    assert len({one, eight, six}) == 3
    assert set(f"{one} {eight} {six}".lower().split()) <= set(NUMBERS)
    Path("some.txt").write_text(LINES)
    assert typed(run, "eight", "--file", "some.txt")[1] == f"{eight}\n{piped.stdout}"


def test_json_holds_text_and_answer(run, typed):
    code, out, _ = typed(run, "one two three", "", "eight", "--json")
    rows = [json.loads(line) for line in out.splitlines()]
    assert code == 0
    assert [row["text"] for row in rows] == ["one two three", "", "eight"]
    assert [row["output"] for row in rows] == plain(run, "one two three", "", "eight")
    assert rows[1]["output"] == ""


def test_a_line_break_within_an_answer_keeps_the_count_of_lines(run, monkeypatch):
    from dlx.processors.text.text_to_text import TextToTextProcessor

    broken = "a\nb\r\nc\u2028d\x85e"
    monkeypatch.setattr(TextToTextProcessor, "detokenize", lambda self, codes: broken)
    assert plain(run, "one", "two") == ["a b c d e"] * 2
    (line, _) = command.render(command.predict(run, ["one", "two"], []), True)
    assert json.loads(line)["output"] == broken


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        (["none.txt", "one"], "none.txt: no such file; as a text it goes in by standard input (-)\n"),
        (["and/or"], "and/or: no such file; as a text it goes in by standard input (-)\n"),
        (["one", "--file", "none"], "none: no such file\n"),
        (["--file", "."], ".: is a folder\n"),
        (["there"], "there: is the name of a file: its lines are read by --file there; as a text it goes in by standard"),
    ],
)
def test_what_is_no_file_is_never_answered_as_a_text(run, typed, inputs, message):
    Path("there").write_text(LINES)
    code, out, err = typed(run, *inputs)
    assert (code, out) == (2, "")
    assert err.startswith(message)


def test_files_are_named_in_every_way(run, typed):
    wanted = "".join(f"{line}\n" for line in plain(run, *LINES.split("\n")[:-1]))
    for name in ("some.txt", "no ending", "with a blank.txt"):
        Path(name).write_text(LINES)
        assert typed(run, "--file", name)[1] == wanted
    assert typed(run, "some.txt")[1] == typed(run, "with a blank.txt")[1] == wanted
    assert [answer["output"] for answer in dlx.predict(run, [Path("no ending")])] == wanted.split("\n")[:-1]
    assert typed(run, "-", given="and/or")[0] == 0


def test_a_text_may_begin_with_a_dash(run, typed):
    code, out, err = typed(run, "- one two", "--one or two", "one", "--json")
    assert (code, err) == (0, "")
    assert [json.loads(line)["text"] for line in out.splitlines()] == ["- one two", "--one or two", "one"]


def test_classes_of_texts_are_rows_of_a_table(judging, typed):
    code, out, _ = typed(judging, "a lovely film", "")
    assert code == 0
    header, first, _ = out.splitlines()
    assert header == "text,label,probability bad,probability good"
    assert first.startswith("a lovely film,good,")


# Settings of what writes.


def test_settings_may_change_and_a_text_that_looks_like_one_is_a_text(run, typed):
    given = [" ".join(NUMBERS[n:] + NUMBERS[:n]) for n in range(8)]
    wanted = plain(run, *given, overrides=["task.beam_size=4", "task.max_output_length=3"])
    assert wanted != plain(run, *given)
    assert all(len(line.split()) <= 3 for line in wanted)
    code, out, _ = typed(run, *given, "task.beam_size=5", "--set", "task.beam_size=4", "--set=task.max_output_length=3")
    assert code == 0
    assert out.splitlines()[:-1] == wanted
    assert len(out.splitlines()) == 9


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ("task.beamsize=5", "--set 'task.beamsize=5': task.beamsize: unknown key; did you mean 'beam_size'?"),
        ("task.beam_size=none", "--set 'task.beam_size=none': task.beam_size: wants "),
        ("task.beam_size", "--set 'task.beam_size': write key=value, +new=value or ~key"),
        ("taks.beam_size=2", "did you mean 'task'?"),
        (
            "data.max_length=3",
            "--set 'data.max_length=3': data.max_length: has no part in an answer; what has is task, model, ",
        ),
    ],
)
def test_a_setting_is_checked_as_everywhere(run, typed, setting, message):
    code, out, err = typed(run, "one", "--set", setting)
    assert (code, out) == (2, "")
    assert message in err
    assert len(err.splitlines()) == 1
    if "--set" in message:
        with pytest.raises(UsageError, match=re.escape(message.partition(": ")[2])):
            dlx.predict(run, ["one"], [setting])


def test_how_many_texts_were_cut_is_told_at_the_first_and_in_the_end(run, typed):
    long, few = "one two " * 20, "one two"
    code, out, err = typed(run, "-", given="".join(f"{line}\n" for line in [few, long, few] * 100))
    assert code == 0
    assert len(out.splitlines()) == 300
    assert "texts of more than 16 pieces are cut: 100 of 300 in all" in " ".join(err.split())
