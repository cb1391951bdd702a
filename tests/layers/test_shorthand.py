import jsonschema
import pytest

from dlx.errors import Fault
from dlx.layers.shorthand import LayerList
from dlx.registry.signatures import check_value, markers


def check(*items):
    return check_value(LayerList, list(items), ("layers",))


def test_a_good_list_comes_back_as_it_was_written():
    items = [{"dense": 16}, "relu", {"dense": {"size": "num_classes"}}, {"flatten": None}]
    assert check(*items) == (items, [])


def test_all_faults_are_found_in_one_pass_each_at_its_place():
    _, faults = check(
        {"dense": {"size": "16x"}},
        {"dense": -3},
        "dnse",
        {"Linear": 3},
        {"dense": {"sze": 3, "activation": "rellu"}},
        {"residual": [{"lstm": 4}, {"dropout": 1.5}]},
        {"residual": {"layers": [{"gru": {"size": 0}}], "activation": "relu"}},
        {"bidirectional": {"lstm": {"sise": 3}}},
        {"bidirectional": {"layer": {"dense": 3}, "merge": "sum"}},
        {"relu": 3},
        {"dense": 3, "activation": "relu"},
        7,
    )
    assert [fault.path for fault in faults] == [
        ("layers", 0, "dense", "size"),
        ("layers", 1, "dense"),
        ("layers", 2, "dnse"),
        ("layers", 3, "Linear"),
        ("layers", 4, "dense", "sze"),
        ("layers", 4, "dense", "size"),
        ("layers", 4, "dense", "activation"),
        ("layers", 5, "residual", 1, "dropout"),
        ("layers", 6, "residual", "layers", 0, "gru", "size"),
        ("layers", 7, "bidirectional", "lstm", "sise"),
        ("layers", 7, "bidirectional", "lstm", "size"),
        ("layers", 8, "bidirectional", "layer", "dense"),
        ("layers", 9, "relu"),
        ("layers", 10),
        ("layers", 11),
    ]
    told = {fault.path: fault.message for fault in faults}
    assert told["layers", 2, "dnse"] == "unknown layer; did you mean 'dense'?"
    assert told["layers", 3, "Linear"] == "unknown layer; did you mean 'dense'?"
    assert told["layers", 4, "dense", "sze"] == "unknown key; did you mean 'size'?"
    assert "did you mean 'relu'" in told["layers", 4, "dense", "activation"]
    assert "wants one of simple_rnn, lstm, gru" in told["layers", 8, "bidirectional", "layer", "dense"]
    assert "indent the settings under 'dense'" in told["layers", 10]


def test_an_empty_list_is_a_fault():
    assert check() == ([], [Fault(("layers",), "wants at least one layer")])


def schema():
    (marker,) = markers(LayerList)
    return {"$defs": marker.definitions(), **marker.json_schema()}


def test_the_schema_is_one():
    jsonschema.Draft202012Validator.check_schema(schema())
    jsonschema.Draft7Validator.check_schema(schema())


@pytest.mark.parametrize(
    ("item", "valid"),
    [
        ({"dense": 16}, True),
        ({"dense": "num_classes"}, True),
        ({"dense": {"size": 16, "activation": "relu"}}, True),
        ("flatten", True),
        ({"flatten": None}, True),
        ({"max_pool": None}, True),
        ({"residual": [{"dense": 4}, "relu"]}, True),
        ({"bidirectional": {"lstm": 4}}, True),
        ({"bidirectional": {"layer": {"lstm": 4}, "merge": "sum"}}, True),
        ("dense", False),
        ({"dense": {"units": 4}}, False),
        ({"dense": 0}, False),
        ({"dense": 4, "relu": None}, False),
        ({"residual": [{"dnse": 4}]}, False),
        ({"bidirectional": {"dense": 4}}, False),
    ],
)
def test_schema_and_check_agree(item, valid):
    assert jsonschema.Draft202012Validator(schema()).is_valid([item]) is valid
    assert (not check(item)[1]) is valid
