"""What a CSV file's columns, its first row and its target are taken for, and what is refused rather than guessed."""

import pytest
from tests.data.table.test_csv import ROWS, build, misfit, write

from dlx.registry import sources
from dlx.registry.signatures import check

ALL = {"val": 0, "test": 0}


def asked(task_target, **choices):
    sources.names()
    values, faults = check(sources.signatures["csv"], choices)
    assert not faults, faults
    return sources.build("csv", values, {"seed": 0, "task_target": task_target})


@pytest.mark.parametrize("seed", range(4))
def test_one_word_among_five_hundred_numbers_is_told_wherever_the_draw_puts_it(tmp_path, seed):
    lines = ["x,y", *(f"{i},{i % 2}" for i in range(500)), "None,1"]
    file = write(tmp_path, lines)
    told = "data.csv:502: column 'x': 'None' is no number, but 500 of 501 values are; add it to missing_values"
    misfit(("train",), told, train=file, target="y", split_seed=seed)
    declared = build(train=file, target="y", missing_values=["None"], missing="mean", split_seed=seed)
    assert declared.processor.numeric.names == ["x"]


def test_a_word_in_a_test_file_is_told_too(tmp_path):
    train = write(tmp_path, ["x,y", *(f"{i},{i % 2}" for i in range(20))])
    test = write(tmp_path, ["x,y", "1,0", "many,1"], "test.csv")
    misfit(("test",), "test.csv:3: column 'x': 'many' is no number, but 21 of 22", train=train, test=test, target="y")


def test_a_column_of_words_with_some_numbers_is_a_category(tmp_path):
    file = write(tmp_path, ["x,y", "ground,0", "first,1", "1,0", "attic,1"])
    assert build(train=file, target="y", **ALL).processor.categorical.values == {"x": ["1", "attic", "first", "ground"]}


@pytest.mark.parametrize("cells", [('"0,5"', '"1,5"'), ('"1,234"', '"2,345"'), ('"1,234.5"', '"2,345,678"')])
def test_numbers_with_commas_are_no_categories(tmp_path, cells):
    file = write(tmp_path, ["x,y", *(f"{cells[i % 2]},{i % 2}" for i in range(10))])
    misfit(("train",), r"data.csv:2: column 'x': '.*' has a comma where a number has a point", train=file, target="y", **ALL)
    assert build(train=file, target="y", categorical=["x"], **ALL).processor.categorical.sizes == [3]


def test_every_column_is_described(tmp_path):
    lines = ["size,colour,note,y", "1,red,a,0", "2.5,,b,1", "?,blue,c,0", "4,red,d,1"]
    data = build(train=write(tmp_path, lines), target="y", missing="mean", **ALL)
    assert data.processor.describe() == [
        "size    number, 1 to 4, 1 missing",
        "colour  category of 2: blue, red, 1 missing",
        "note    category of 4: a, b, c, d",
        "y       target, class of 2: 0, 1",
    ]


NUMBERS = [f"{i},{i * 2},{i % 2}" for i in range(20)]


def test_pandas_index_without_a_name_is_no_row_and_no_class(tmp_path):
    file = write(tmp_path, [",a,y", *NUMBERS])
    misfit(("train",), "leaves a column without a name; name all with `columns`", train=file, target="y")
    data = build(train=file, target="y", columns=["id", "a", "y"], drop=["id"], **ALL)
    assert data.facts["class_names"] == ["0", "1"]
    assert data.size == 20


@pytest.mark.parametrize("header", ["id,A,why", "a, id,y", "ID,A,Y", "row,price,sold"])
def test_a_header_is_none_of_the_rows_where_columns_are_named_anew(tmp_path, header):
    file = write(tmp_path, [header, *NUMBERS])
    assert build(train=file, target="y", columns=["id", "a", "y"], **ALL).size == 20


def test_a_file_without_a_header_loses_no_row_beside_one_that_has_it(tmp_path):
    train, test = write(tmp_path, ["id,a,y", *NUMBERS]), write(tmp_path, NUMBERS[:6], "test.csv")
    data = build(train=train, test=test, val=0, target="y")
    assert len(data.data["test"]["input"]) == 6
    other = build(train=test, test=train, val=0, target="y", columns=["id", "a", "y"])
    assert (other.size, len(other.data["test"]["input"])) == (6, 20)


@pytest.mark.parametrize(("delimiter", "name"), [(";", "';'"), ("\t", "a tab"), ("|", r"'\|'")])
def test_another_delimiter_is_recognised(tmp_path, delimiter, name):
    file = write(tmp_path, [line.replace(",", delimiter) for line in ["id,a,y", *NUMBERS]])
    for choices in ({}, {"header": True}, {"columns": ["id", "a", "y"], "header": False}):
        misfit(("train",), rf"look separated by {name} \(set `delimiter`\)", train=file, target="y", **choices)
    assert build(train=file, target="y", delimiter=delimiter, **ALL).size == 20


@pytest.mark.parametrize("delimiter", ['"', "\n", "\r"])
def test_what_parts_no_cells_is_no_delimiter(tmp_path, delimiter):
    sources.names()
    given = {"train": write(tmp_path, ROWS), "target": "sex", "delimiter": delimiter}
    _, faults = check(sources.signatures["csv"], given)
    assert [fault.path for fault in faults] == [("delimiter",)]


def test_the_task_decides_what_whole_numbers_are(tmp_path):
    few = write(tmp_path, ["x,y", *(f"{i},{i % 5}" for i in range(200))], "few.csv")
    many = write(tmp_path, ["x,y", *(f"{i},{i % 25}" for i in range(200))], "many.csv")
    assert asked("number", train=few, target="y").facts["num_outputs"] == 1
    assert asked("class", train=many, target="y").facts["num_classes"] == 25
    for task, kind in (("number", "class"), ("class", "number")):
        misfit_of(task, ("target_kind",), f"answers with a {task}, not with a {kind}", train=few, target="y", target_kind=kind)
    measures = write(tmp_path, ["x,y", *(f"{i},{i / 7}" for i in range(200))], "measures.csv")
    misfit_of("class", ("target",), "holds 200 different numbers, not all whole; task: regression", train=measures, target="y")


def misfit_of(task, path, message, **choices):
    from dlx.errors import ComponentError

    with pytest.raises(ComponentError, match=message) as caught:
        asked(task, **choices)
    assert caught.value.path == path


def test_labels_of_equal_numbers_are_drawn_and_trained_as_one_class(tmp_path):
    plain = build(train=write(tmp_path, ["x,y", *(f"{i},{i % 2}" for i in range(40))], "a.csv"), target="y")
    labels = ["0", "1", "0.0", "1.0"]
    mixed = build(train=write(tmp_path, ["x,y", *(f"{i},{labels[i % 4]}" for i in range(40))], "b.csv"), target="y")
    assert mixed.facts == plain.facts
    for split in ("train", "val", "test"):
        assert mixed.data[split]["target"].tolist() == plain.data[split]["target"].tolist()


def test_categories_of_equal_numbers_are_one_and_so_are_missing_ones(tmp_path):
    file = write(tmp_path, ["x,z,y", "1,-999,0", "1.0,1,1", "2,-999.0,0", "2.0,3,1"])
    data = build(train=file, target="y", categorical=["x"], missing_values=["-999"], missing="mean", **ALL)
    assert data.processor.categorical.values == {"x": ["1", "2"]}
    assert data.processor.numeric.gaps == [2]
    assert data.processor.numeric.means == [2.0]


@pytest.mark.parametrize(
    "words", [("Train", "VALID", "Testing"), ("training", "dev", "test"), (" train", "validation", "TEST")]
)
def test_the_usual_words_for_splits_are_known(tmp_path, words):
    lines = ["x,y,part", *(f"{i},{i % 2},{words[i // 4 % 3]}" for i in range(24))]
    data = build(train=write(tmp_path, lines), target="y", split_column="part")
    assert {split: len(found["input"]) for split, found in data.data.items()} == {"train": 8, "val": 8, "test": 8}


def test_a_class_of_one_row_is_told_in_words_of_tables(tmp_path):
    file = write(tmp_path, ["x,y", *(f"{i},{i % 2}" for i in range(20)), "1,7"])
    misfit(("test",), r"'7' has one row only; add rows, or .* \(stratify: false\)", train=file, target="y")
