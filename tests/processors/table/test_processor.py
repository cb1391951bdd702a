import gzip
import io
import json
import logging

import numpy as np
import pyarrow as pa
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from dlx.errors import UsageError
from dlx.processors.csv.cells import of_rows
from dlx.processors.numbers import numbers
from dlx.processors.rows import Row, number
from dlx.processors.table.columns import CategoricalColumns, NumericColumns, parse
from dlx.processors.table.processor import TableProcessor
from dlx.processors.targets import ClassTarget, NumberTarget

COLUMNS = ["size", "colour", "age"]
GAPS = frozenset(["", "?"])
ROWS = [Row(cells) for cells in (["1", "red", "10"], ["2", "blue", "?"], ["4.5", "", "30"], ["7", "red", "50"])]


def processor(scaling="standard", missing="indicator", encoding="one_hot", target=None):
    cells = of_rows(ROWS, COLUMNS)
    numeric = NumericColumns.fit(["size", "age"], parse(cells, ["size", "age"], GAPS, True), scaling, missing)
    categorical = CategoricalColumns.fit(["colour"], cells, GAPS, encoding)
    goal = target or ClassTarget("kind", ["cat", "dog"])
    return TableProcessor(COLUMNS, numeric, categorical, goal, GAPS, ["size", "kind", "colour", "age"])


def restored(made):
    return TableProcessor.from_state(json.loads(json.dumps(made.state_dict())))


@pytest.mark.parametrize("scaling", ["standard", "quantile", "min_max", "none"])
@pytest.mark.parametrize("encoding", ["one_hot", "index"])
def test_the_state_survives_json_exactly(scaling, encoding):
    made = processor(scaling, encoding=encoding)
    again = restored(made)
    assert again.state_dict() == made.state_dict()
    one, other = made.encode(ROWS), again.encode(ROWS)
    assert one.keys() == other.keys()
    assert all(torch.equal(one[word], other[word]) for word in one)


def test_encoding():
    batch = processor("none").encode(ROWS)
    assert batch["input"].dtype == torch.float32
    # size, age (30 is the mean), age was missing, blue, red
    assert batch["input"].tolist() == [[1, 10, 0, 0, 1], [2, 30, 1, 1, 0], [4.5, 30, 0, 0, 0], [7, 50, 0, 0, 1]]
    batch = processor("none", "mean", "index").encode(ROWS)
    assert batch["input"].tolist() == [[1, 10], [2, 30], [4.5, 30], [7, 50]]
    assert batch["category"].tolist() == [[2], [1], [0], [2]]


def test_one_row_is_encoded_as_among_others():
    made = processor("quantile")
    together = made.encode(ROWS)["input"]
    assert torch.equal(torch.cat([made.encode([row])["input"] for row in ROWS]), together)


def test_a_constant_column_becomes_zero():
    for scaling in ("standard", "min_max"):
        fitted = NumericColumns.fit(["a"], np.full((3, 1), 0.1), scaling)
        assert abs(fitted(np.full((3, 1), 0.1))).max() < 1e-12


def test_an_unseen_category_is_told_once(caplog):
    made = processor()
    for _ in range(2):
        made.encode([Row(["1", "green", "2"])])
    assert [record.message for record in caplog.records] == [
        "column 'colour': 'green' was not seen in training and counts as unknown"
    ]


def test_classes_are_answered_by_name():
    prediction = {"label": torch.tensor([1, 0]), "probability": torch.tensor([[0.25, 0.75], [0.5, 0.5]])}
    assert processor().decode(prediction) == [
        {"label": "dog", "probability": {"cat": 0.25, "dog": 0.75}},
        {"label": "cat", "probability": {"cat": 0.5, "dog": 0.5}},
    ]
    assert processor().decode({"label": torch.tensor([0])}) == [{"label": "cat"}]


def test_numbers_are_answered_by_name():
    made = restored(processor(target=NumberTarget("price")))
    assert made.decode({"value": torch.tensor([[1.5], [2.0]])}) == [{"price": 1.5}, {"price": 2.0}]


def read(tmp_path, *lines, name="rows.csv"):
    file = tmp_path / name
    text = "\n".join(lines).encode()
    file.write_bytes(gzip.compress(text) if name.endswith(".gz") else text)
    return [row.cells for row in processor().read([str(file)])]


@pytest.mark.parametrize("name", ["rows.csv", "rows.csv.gz"])
def test_a_header_gives_the_order(tmp_path, name):
    assert read(tmp_path, "age,size, colour", "30, 1, red", "", "?,2,blue", name=name) == [
        ["1", "red", "30"],
        ["2", "blue", "?"],
    ]


def test_without_a_header_the_columns_stand_as_in_training(tmp_path):
    assert read(tmp_path, "1,red,30", "2,blue,?") == [["1", "red", "30"], ["2", "blue", "?"]]
    assert read(tmp_path, "1,dog,red,30") == [["1", "red", "30"]]


def test_columns_that_are_not_read_are_told_but_for_the_target(tmp_path, caplog):
    with caplog.at_level(logging.WARNING, "dlx"):
        assert read(tmp_path, "kind,colour,size,age", "dog,red,1,2") == [["1", "red", "2"]]
        assert not caplog.records
        read(tmp_path, "name,colour,size,age,kind", "Rex,red,1,2,dog")
    assert caplog.records[0].message.endswith("rows.csv: the model does not read the column 'name'")


def test_rows_on_the_command_line_and_on_standard_input(monkeypatch):
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(b"colour,age,size\nred,3,1\n")))
    assert [row.cells for row in processor().read(["-", "4, blue, 5"])] == [["1", "red", "3"], ["4", "blue", "5"]]


@pytest.mark.parametrize(
    ("lines", "message"),
    [
        ([], "rows.csv: is empty"),
        (["size,age", "1,2"], "rows.csv: lacks the column 'colour'; it has 'size', 'age'"),
        (["size,size,colour,age", "1,1,red,2"], "has the column 'size' more than once"),
        (["size,colour,age", "1,red,2", "1,red"], "rows.csv:3: has 2 cells, but the header has 3"),
        (["1,red,2", "1,red"], "rows.csv:2: has 2 cells, not the 3 of 'size', 'colour', 'age', nor all 4 of the training file"),
    ],
)
def test_what_is_wrong_with_a_file(tmp_path, lines, message):
    with pytest.raises(UsageError, match=message):
        read(tmp_path, *lines)


def test_what_is_wrong_with_an_argument():
    with pytest.raises(UsageError, match="'nowhere' is neither a file nor a row of the 3 of 'size'"):
        list(processor().read(["nowhere"]))
    with pytest.raises(UsageError, match="'1,2': has 2 cells, not the 3"):
        list(processor().read(["1,2"]))


def test_a_bad_cell_is_told_with_file_row_and_column(tmp_path):
    file = tmp_path / "rows.csv"
    file.write_text("size,colour,age\n1,red,2\nbig,red,x\n")
    made = processor()
    with pytest.raises(UsageError) as caught:
        next(made.read([str(file)]))  # told before the first row is given
    assert str(caught.value) == f"{file}:3: column 'size': 'big' is no number\n{file}:3: column 'age': 'x' is no number"
    with pytest.raises(UsageError, match="'big,red,2': column 'size': 'big' is no number"):
        made.encode(list(made.read(["big,red,2"])))


def test_a_single_column_needs_no_delimiter():
    numeric = NumericColumns.fit(["a"], np.array([[1.0], [2.0]]), "none")
    made = TableProcessor(["a"], numeric, CategoricalColumns({}, "one_hot"), NumberTarget("b"))
    assert made.encode(list(made.read(["1"])))["input"].tolist() == [[1]]


@pytest.mark.parametrize("cell", ["1_0", "inf", "-inf", "nan", "x", "", "0x1"])
def test_what_is_no_number(cell):
    assert number(cell) is None
    found = numbers(pa.array(["1", cell]), ())
    assert found.strange.tolist() == [False, True]


@given(st.lists(st.one_of(st.floats(allow_nan=False, allow_infinity=False).map(repr), st.just("?"))))
def test_numbers_reads_what_was_written(cells):
    found = numbers(pa.array(cells, pa.string()), GAPS)
    assert not found.strange.any()
    assert [("?" if value != value else repr(value)) for value in found.values.tolist()] == cells


OLD = """
{"numeric": {"names": ["age", "income"], "means": [39.0, 5.5], "indicators": [1],
             "scaler": {"kind": "affine", "offset": [39.0, 5.5], "divisor": [15.5, 2.5]}},
 "categorical": {"values": {"city": ["", "B", "P"]}, "encoding": "one_hot"},
 "target": {"kind": "class", "column": "sex", "names": ["f", "m"], "strip": ""},
 "columns": ["age", "city", "income"], "missing_values": ["?"],
 "file_columns": ["age", "city", "income", "sex"], "delimiter": ",", "input_shape": null}
"""


def test_a_processor_of_an_older_checkpoint_reads_and_describes_what_it_knows():
    made = TableProcessor.from_state(json.loads(OLD))
    batch = made.encode([Row(["54.5", "P", "?"]), Row(["39", "", "8"])])
    assert batch["input"].tolist() == [[1, 0, 1, 0, 0, 1], [0, 1, 0, 1, 0, 0]]
    assert made.describe() == [
        "age     number",
        "city    category of 3: '', B, P",
        "income  number",
        "sex     target, class of 2: f, m",
    ]
    assert restored(made).state_dict() == made.state_dict()


def test_a_number_of_an_older_checkpoint_is_answered_without_known_decimals():
    state = json.loads(OLD) | {"target": {"kind": "number", "column": "price"}}
    made = TableProcessor.from_state(state)
    (answer,) = made.decode({"value": torch.tensor([[1234567.89]], dtype=torch.float64)})
    assert answer == {"price": 1234567.89}
    assert type(answer["price"]) is float


@pytest.mark.parametrize("scaling", ["standard", "quantile", "min_max", "none"])
def test_what_is_infinite_when_scaled_is_told_by_row_and_column(scaling):
    made = processor(scaling)
    if scaling == "quantile":  # it is bounded by the largest value of the training split
        assert made.encode([Row(["1e300", "red", "1"])])["input"].isfinite().all()
        return
    with pytest.raises(UsageError, match=r"^row: column 'age': -1e\+300 is so far from the values of the training split"):
        made.encode([Row(["1", "red", "-1e300"])])


def test_statistics_that_overflow_are_told_by_column():
    values = np.array([[1.0, 1.7e308], [2.0, -1.7e308], [3.0, 1.7e308]])
    for scaling in ("standard", "min_max"):
        with pytest.raises(UsageError, match="column 'b': its values are too large to be averaged and scaled"):
            NumericColumns.fit(["a", "b"], values, scaling)
