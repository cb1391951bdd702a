"""What `dlx predict` prints of a table's answers: digits, quoting, and nothing before all rows are checked."""

import csv
import io
import json
import math
from pathlib import Path

import pytest
import torch
from typer.testing import CliRunner

from dlx.cli import app
from dlx.commands import predict as command
from dlx.commands.train import train
from dlx.errors import DlxError, UsageError
from dlx.processors.targets import Measured

LARGE = 1_000_000


@pytest.fixture(scope="module")
def runs(tmp_path_factory):
    folder = tmp_path_factory.mktemp("tables")
    rows = [f"{i},{'ab'[i % 2]},{LARGE + i * 1.25:.2f}" for i in range(60)]
    (folder / "table.csv").write_text("\n".join(["x,kind,price", *rows]))
    found = {}
    for task, target in (("regression", "price"), ("classification", "kind")):
        config = folder / f"{task}.yaml"
        config.write_text(
            f"task: {task}\ndata: {{name: csv, train: {folder}/table.csv, target: {target}, drop: "
            f"[{'kind' if task == 'regression' else 'price'}]}}\nmodel: {{name: mlp, hidden: [8]}}\nepochs: 2\n"
        )
        found[task] = train(str(config), [], name=None, resume=False, runs=folder / "runs", quiet=True)["run"]
    return found


def answers(run, *inputs, **choices):
    return list(command.predict(run, list(inputs), [], **choices))


def lines(rows, as_json=False):
    return list(command.render(iter(rows), as_json))


def test_numbers_have_the_digits_of_the_data_and_json_all_of_them(runs):
    found = answers(runs["regression"], "3", "7")
    header, *shown = lines(found)
    assert header == "price"
    assert all(len(text) == len("1000003.7500") and float(text) > LARGE for text in shown)
    full = [json.loads(line)["price"] for line in lines(found, as_json=True)]
    assert full == [float(answer["price"]) for answer in found]
    assert [f"{value:.4f}" for value in full] == shown


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (0.123456789, "0.123457"), (1.0, "1"), (1234567.89, "1234567.89"), (123456.0, "123456"), (1e-9, "1e-09"),
        (Measured(1234567.891, 2), "1234567.89"), (7, "7"), ("a", "a"),
    ],
)  # fmt: skip
def test_how_a_value_is_written(value, text):
    assert command.written(value) == text


NAMES = ["two\nlines", "carriage\rreturn", 'a "quoted", name', "=1+1", " blank ", "é\u202e", "plain"]


@pytest.mark.parametrize("name", NAMES)
def test_names_come_back_from_csv_and_json_as_they_are(name):
    answer = {"label": name, "probability": {name: 0.5}}
    text = "\r\n".join(lines([answer]))
    assert list(csv.reader(io.StringIO(text, newline=""))) == [["label", f"probability {name}"], [name, "0.5"]]
    (line,) = lines([answer], as_json=True)
    assert "\n" not in line
    assert json.loads(line) == answer


def test_a_name_that_is_no_unicode_is_escaped_in_json():
    (line,) = lines([{"file": "\udcff.png"}], as_json=True)
    assert line.isascii()
    assert json.loads(line) == {"file": "\udcff.png"}


def test_a_class_with_a_line_break_is_read_trained_and_answered(tmp_path):
    rows = "".join(f'{i},"{"one" if i % 2 else "two"}\nclass"\n' for i in range(40))
    (tmp_path / "t.csv").write_text("x,y\n" + rows)
    (tmp_path / "c.yaml").write_text(
        f"task: classification\ndata: {{name: csv, train: {tmp_path}/t.csv, target: y}}\n"
        "model: {name: mlp, hidden: [4]}\nepochs: 1\n"
    )
    run = train(str(tmp_path / "c.yaml"), [], name=None, resume=False, runs=tmp_path / "runs", quiet=True)["run"]
    result = CliRunner().invoke(app, ["predict", run, "3"])
    assert result.exit_code == 0, result.output
    (row,) = csv.DictReader(io.StringIO(result.stdout, newline=""))
    assert row["label"] in ("one\nclass", "two\nclass")


def table(folder, bad):
    file = folder / "rows.csv"
    file.write_text("\n".join(["x", *(str(i) for i in range(298)), bad, "7"]))
    return str(file)


def test_all_rows_of_a_file_are_checked_before_the_first_answer(runs, tmp_path):
    (tmp_path / "good.csv").write_text("x\n1\n")
    given = [str(tmp_path / "good.csv"), table(tmp_path, "bad")]
    with pytest.raises(UsageError, match=r"rows.csv:300: column 'x': 'bad' is no number$"):
        next(command.predict(runs["regression"], given, []))


def test_a_bad_row_of_standard_input_says_how_many_answers_came_before(runs, tmp_path):
    content = Path(table(tmp_path, "bad")).read_bytes()
    result = CliRunner().invoke(app, ["predict", runs["regression"], "-"], input=content)
    assert result.exit_code == 2 or isinstance(result.exception, UsageError)
    told = result.stderr + str(result.exception)
    assert "standard input:300: column 'x': 'bad' is no number\n256 answers had been printed before" in told
    assert len(result.stdout.splitlines()) == 257


@pytest.mark.parametrize("task", ["regression", "classification"])
def test_an_input_that_is_infinite_when_scaled_is_told_by_row_and_column(runs, tmp_path, task):
    file = table(tmp_path, "1e300")
    with pytest.raises(UsageError, match=r"rows.csv:300: column 'x': 1e\+300 is so far from the values of the training split"):
        answers(runs[task], file)
    with pytest.raises(UsageError, match=r"'-1e300': column 'x': -1e\+300 is so far"):
        answers(runs[task], "-1e300")


@pytest.mark.parametrize("task", ["regression", "classification"])
@pytest.mark.parametrize("weight", [math.nan, math.inf])
def test_an_answer_that_is_no_number_is_told_and_not_printed(runs, tmp_path, monkeypatch, task, weight):
    from dlx.storage import snapshot

    def broken(module, tensors, load=snapshot.load_module):
        load(module, {name: torch.full_like(value, weight) for name, value in tensors.items()})

    monkeypatch.setattr(snapshot, "load_module", broken)
    with pytest.raises(DlxError, match=r"rows.csv:2: the model's answer is no finite number") as caught:
        answers(runs[task], table(tmp_path, "1"))
    assert caught.value.code == 1


def test_the_columns_of_a_run_are_shown(runs):
    from dlx.commands.show import show

    *_, numbers, target = show(runs["classification"], []).splitlines()
    assert numbers.startswith("x     number, ")
    assert target == "kind  target, class of 2: a, b"


def test_many_columns_are_cut_short_where_they_would_bury_the_rest():
    from dlx.commands.describing import inputs

    class Many:
        def describe(self):
            return [f"c{i}  number\x1b" for i in range(100)]

    shown = inputs(Many())
    assert len(shown) == 41
    assert shown[0] == "c0  number\\x1b"
    assert shown[-1] == "... and 60 more (dlx show RUN)"
    assert len(inputs(Many(), most=None)) == 100
