"""The kept state of a processor of images: sizes and statistics that contradict each other or the facts are refused."""

import copy

import pytest

from dlx.storage.states import fault

STATE = {
    "decoding": {"height": 8, "width": 8, "channels": 3, "resize": "squash", "max_pixels": 1000},
    "size": [8, 8], "mean": [0.5] * 3, "std": [0.2] * 3, "class_names": ["a", "b"],
}  # fmt: skip
FACTS = {"input_shape": [3, 8, 8], "class_names": ["a", "b"]}


def test_a_sound_state_has_no_fault():
    assert fault("image", STATE, FACTS) is None
    assert fault("image", STATE | {"more": {"any": "thing"}}, {}) is None
    assert fault("of_a_plugin", {"any": "thing"}, {}) is None


@pytest.mark.parametrize(
    ("changes", "place"),
    [
        ({"decoding": None}, "state.decoding"), ({"decoding": {}}, "state.decoding.height"),
        ({"size": [9, 8]}, "size is larger"),
        ({"size": [8]}, "state.size"), ({"size": [0, 8]}, "state.size.0"), ({"size": [8, 2**40]}, "state.size.1"),
        ({"mean": [0.5]}, "statistics are not those of 3"), ({"std": [0.2, 0.2, 0.0]}, "state.std.2"),
        ({"std": [0.2, 0.2, float("nan")]}, "state.std.2"), ({"mean": "x"}, "state.mean"),
        ({"class_names": []}, "state.class_names"),
        ({"class_names": ["a", 3]}, "state.class_names.1"), ({"class_names": ["a", "c"]}, "names other classes"),
        ({"size": [4, 4]}, "but input_shape is"),
    ],
)  # fmt: skip
def test_a_state_that_contradicts_itself_or_the_facts_is_refused(changes, place):
    assert place in fault("image", STATE | changes, FACTS)


@pytest.mark.parametrize(
    ("key", "value"),
    [("height", 2**30), ("channels", 2), ("resize", "exec"), ("max_pixels", 0), ("width", "8"), ("height", True)],
)
def test_a_decoding_of_another_shape_is_refused(key, value):
    state = copy.deepcopy(STATE)
    state["decoding"][key] = value
    assert fault("image", state, FACTS).startswith(f"state.decoding.{key}: ")
