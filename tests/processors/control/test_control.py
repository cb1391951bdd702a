"""Observations typed as rows, and actions in the environment's own units."""

import io
import sys

import pytest
import torch

from dlx.core import File
from dlx.errors import UsageError
from dlx.processors.control.actions import Continuous, Discrete
from dlx.processors.control.processor import ControlProcessor
from dlx.storage import states


def numbers(actions=None, shape=(3,), pixels=False):
    return ControlProcessor(shape, pixels, actions or Discrete(2))


def encoded(processor, *inputs):
    return processor.encode(list(processor.read(inputs)))["input"]


def test_rows_and_files_in_their_order(tmp_path):
    file = tmp_path / "seen.csv"
    file.write_text("place,speed,time\n1,2,3\n\n4,5,6\n")
    assert encoded(numbers(), "-1,0.5,1e2", str(file), File(file)).tolist() == [
        [-1, 0.5, 100], [1, 2, 3], [4, 5, 6], [1, 2, 3], [4, 5, 6],
    ]  # fmt: skip


def test_standard_input(monkeypatch):
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"1,2,3\n7,8,9\n")))
    assert encoded(numbers(), "-", "0,0,1").tolist() == [[1, 2, 3], [7, 8, 9], [0, 0, 1]]


@pytest.mark.parametrize(
    ("given", "told"),
    [
        ("1,2", "'1,2': has 2 cells, not the 3 numbers of an observation"),
        ("1,2,x", "'1,2,x': 'x' is no finite number"),
        ("1,2,1e300", "'1,2,1e300': '1e300' is no finite number"),
        ("cart.csv", "'cart.csv' is neither a file nor a row of the 3 numbers of an observation"),
        ("", "'' is neither a file nor a row"),
    ],
)
def test_what_is_no_observation_is_told(given, told):
    with pytest.raises(UsageError) as error:
        encoded(numbers(), given)
    assert str(error.value).startswith(told)


def test_every_fault_of_a_file_is_told_with_its_line(tmp_path):
    file = tmp_path / "seen.csv"
    file.write_text("1,2,3\n1,2\n1,nan,3\n")
    with pytest.raises(UsageError) as error:
        next(numbers().read([str(file)]))
    assert str(error.value).splitlines() == [
        f"{file}:2: has 2 cells, not the 3 numbers of an observation",
        f"{file}:3: 'nan' is no finite number",
    ]


def test_pixels_are_whole_numbers_of_a_byte():
    images = numbers(shape=(1, 2, 2), pixels=True)
    seen = encoded(images, "0,1,2,255")
    assert seen.dtype == torch.uint8
    assert seen.tolist() == [[[[0, 1], [2, 255]]]]
    for wrong in ("0,1,2,256", "0,1,2,0.5"):
        with pytest.raises(UsageError, match="is no whole number from 0 to 255"):
            encoded(images, wrong)


def test_discrete_actions_have_the_environments_numbers_and_what_they_were_chosen_by():
    processor = numbers(Discrete(2, start=5))
    action = torch.tensor([1, 0])
    assert processor.decode({"action": action}) == [{"action": 6}, {"action": 5}]
    shares = torch.tensor([[0.25, 0.75], [1.0, 0.0]])
    assert processor.decode({"action": action, "action_probability": shares})[0] == {
        "action": 6, "probability": {"5": 0.25, "6": 0.75},
    }  # fmt: skip
    assert processor.decode({"action": action, "action_value": shares})[1]["value"] == {"5": 1.0, "6": 0.0}


def test_continuous_actions_lie_within_the_environments_bounds():
    processor = numbers(Continuous([-2, 0], [2, 10]))
    found = processor.decode({"action": torch.tensor([[0.0, -7.0], [0.5, 3.0]])})
    assert found == [{"action": [0.0, 0.0]}, {"action": [1.0, 10.0]}]


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({}, None),
        ({"input_shape": [4]}, "gives observations [4], but input_shape is [3]"),
        ({"actions": {"count": 3, "start": 0}}, "has actions of 3, but the model has 2"),
        ({"actions": {"low": [0.0], "high": []}}, "state.actions: is neither a count of actions nor bounds of as many numbers"),
        ({"actions": {}}, "state.actions: is neither a count of actions nor bounds of as many numbers"),
    ],
)
def test_a_state_that_contradicts_the_model_is_refused(change, told):
    state = {**numbers().state_dict(), **change}
    assert states.fault("control", state, {"input_shape": [3], "num_actions": 2}) == told
