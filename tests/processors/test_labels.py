"""Labels that mean the same are one class, and codes with leading zeros are none of them."""

import json

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlx.processors.csv.cells import of_rows
from dlx.processors.labels import LONGEST, Vocabulary, canonical, distinct, looks_alike
from dlx.processors.rows import Row, number
from dlx.processors.targets import ClassTarget, Measured, NumberTarget, restore_target


@pytest.mark.parametrize(
    ("written", "same"),
    [
        ("1", "1"), ("1.0", "1"), ("1.", "1"), ("+1", "1"), ("1e0", "1"), ("10e-1", "1"), ("0", "0"), ("-0.0", "0"),
        ("0e5", "0"), (".5", "0.5"), ("2.50", "2.5"), ("1e3", "1000"), ("100", "100"), ("01", "01"), ("-01", "-01"),
        ("007", "007"), ("1_0", "1_0"), ("nan", "nan"), ("a", "a"), ("", ""),
        ("1e300", "1e300"), ("1e-999999999", "1e-999999999"),
    ],
)  # fmt: skip
def test_equal_numbers_are_written_alike(written, same):
    assert canonical(written) == same


@given(st.floats(allow_nan=False, allow_infinity=False).map(repr))
def test_a_label_written_anew_is_the_same_number(label):
    assert number(canonical(label)) == number(label)
    assert canonical(canonical(label)) == canonical(label)
    assert len(canonical(label)) <= 2 * LONGEST + 3


def test_large_whole_numbers_that_one_float_would_hold_are_kept_apart():
    assert distinct(["9007199254740993", "9007199254740992"]) == ["9007199254740992", "9007199254740993"]


def test_the_shortest_way_of_writing_names_a_class():
    assert distinct(["0.0", "0", "1.0", "1.00", "b"]) == ["0", "1.0", "b"]
    assert looks_alike(["01", "1.0", "002", "3"]) == ["01"]


def target(labels):
    return ClassTarget.fit("y", pa.array(labels))


def test_numbers_written_in_two_ways_are_two_classes():
    made = target(["0", "0.0", "1", "1.0"])
    assert made.names == ["0", "1"]
    cells = of_rows([Row([label]) for label in ("1.0", "0", "1e0", "-0")], ["y"])
    assert made.encode(cells).tolist() == [1, 0, 1, 0]


def test_leading_zeros_are_told(caplog):
    assert target(["01", "1", "2"]).names == ["01", "1", "2"]
    assert "01 has a leading zero and is a class of its own" in caplog.text


def test_classes_of_a_checkpoint_that_told_numbers_apart_stay_apart():
    old = restore_target({"kind": "class", "column": "y", "names": ["0", "0.0", "1"], "strip": ""})
    cells = of_rows([Row([label]) for label in ("0", "0.0", "1.0")], ["y"])
    assert old.encode(cells).tolist() == [0, 1, 2]
    assert Vocabulary(["0", "0.0"]).code("0e0") == -1


@pytest.mark.parametrize(
    ("written", "value", "shown"),
    [
        (["1234567.89", "1234999.10", "1200000.00"], 1234567.8901234, "1234567.89"),
        (["150", "73", "200"], 152.13353, "152.1335"),
        (["0.00012", "0.00034"], 0.000123456789, "0.000123457"),
        (["1e6", "2e6"], 1234567.4, "1234567"),
        (["1e308", "1"], 1.5, "2"),
        (["1700000001", "1700000002", "1700000003"], 1700000001.5, "1700000001.500000"),
    ],
)
def test_a_prediction_is_printed_with_the_digits_that_the_data_have(written, value, shown):
    made = restore_target(json.loads(json.dumps(NumberTarget.fit("t", written).state_dict())))
    import torch

    (answer,) = made.decode({"value": torch.tensor([[value]], dtype=torch.float64)})
    assert str(answer["t"]) == shown
    assert answer["t"] == value
    assert json.loads(json.dumps(answer)) == {"t": value}


def test_a_measured_number_is_a_float_with_all_its_digits():
    assert Measured(1 / 3, 2) == 1 / 3
    assert f"{Measured(1 / 3, 2)}" == "0.33" == str(Measured(1 / 3, 2))
