import pytest
import torch
from torch import nn

from dlx.errors import ComponentError
from dlx.layers.stack import build_stack, infer_shape

FACTS = {"num_classes": 3, "class_names": ["a", "b", "c"], "seed": 0}


def misfit(items, input_shape):
    with pytest.raises(ComponentError) as caught:
        build_stack(items, input_shape, FACTS, ("layers",))
    return caught.value.message, caught.value.path


def test_plain_layers_equal_a_sequential_written_by_hand():
    torch.manual_seed(0)
    stack = build_stack([{"dense": {"size": 16, "activation": "relu"}}, {"dense": 64}, "relu", {"dense": 3}], (4,), FACTS)
    torch.manual_seed(0)
    plain = nn.Sequential(nn.Linear(4, 16), nn.ReLU(), nn.Linear(16, 64), nn.ReLU(), nn.Linear(64, 3))
    input = torch.rand(5, 4)
    assert torch.equal(stack(input), plain(input))
    assert [type(module) for module in stack] == [type(module) for module in plain]


def test_layout_and_keys():
    items = [{"conv2d": {"filters": 8, "activation": "relu"}}, "batch_norm", "flatten", {"dense": "num_classes"}]
    stack = build_stack(items, (1, 8, 8), FACTS, ("layers",))
    assert [(row.name, row.output_shape, row.parameters) for row in stack.layout] == [
        ("conv2d", (8, 6, 6), 80),
        ("batch_norm", (8, 6, 6), 16),
        ("flatten", (288,), 0),
        ("dense", (3,), 867),
    ]
    assert stack.layout[3].path == ("layers", 3, "dense")
    assert [key for key in stack.state_dict() if "weight" in key] == [
        "0_conv2d.weight",
        "1_batch_norm.weight",
        "3_dense.weight",
    ]
    assert [name for name, _ in stack.named_children()] == [
        "0_conv2d",
        "0_conv2d_activation",
        "1_batch_norm",
        "2_flatten",
        "3_dense",
    ]


def test_a_state_makes_the_round_trip():
    items = [{"residual": [{"conv2d": {"filters": 4, "padding": "same"}}, "batch_norm"]}, "global_avg_pool", {"dense": 2}]
    one, two = (build_stack(items, (3, 8, 8), FACTS) for _ in range(2))
    input = torch.rand(2, 3, 8, 8)
    assert not torch.equal(one(input), two(input))
    two.load_state_dict(one.state_dict())
    assert torch.equal(one.eval()(input), two.eval()(input))


def test_finding_shapes_draws_no_random_number_and_leaves_the_layer_alone():
    for kind, shape in ((nn.BatchNorm1d(4), (4,)), (nn.Linear(4, 2), (2,)), (nn.Dropout(), (4,))):
        before, state = [tensor.clone() for tensor in kind.state_dict().values()], torch.get_rng_state()
        assert infer_shape(kind, (4,)) == shape
        assert kind.training
        assert all(torch.equal(a, b) for a, b in zip(before, kind.state_dict().values(), strict=True))
        assert torch.equal(state, torch.get_rng_state())


def test_a_layer_that_does_not_fit_says_what_it_wants_and_what_it_gets():
    assert misfit(["flatten", {"conv2d": 3}], (1, 8, 8)) == (
        "wants an image (channels, height, width), but gets (64,) from layers[0].flatten",
        ("layers", 1, "conv2d"),
    )
    assert misfit([{"lstm": 3}], (4,)) == (
        "wants a sequence (steps, features), but gets (4,) from the data",
        ("layers", 0, "lstm"),
    )
    message, path = misfit([{"conv2d": {"filters": 3, "kernel_size": 9}}], (1, 8, 8))
    assert path == ("layers", 0, "conv2d")
    assert message.startswith("does not take (1, 8, 8) from the data: ")


def test_a_misfit_deep_within_has_its_exact_path():
    conv = {"conv2d": {"filters": 4, "groups": 3}}
    assert misfit([{"residual": ["relu", conv]}], (4, 8, 8)) == (
        "wants a divisor of 4 and of 4 channels, not 3",
        ("layers", 0, "residual", 1, "conv2d", "groups"),
    )
    assert misfit([{"residual": {"layers": [conv]}}], (4, 8, 8))[1] == (
        "layers", 0, "residual", "layers", 0, "conv2d", "groups",
    )  # fmt: skip
    message, path = misfit([{"residual": ["flatten"]}], (4, 8, 8))
    assert path == ("layers", 0, "residual")
    assert "(4, 8, 8) into (256,)" in message


def test_a_size_may_name_a_fact():
    assert build_stack([{"dense": "num_classes"}], (4,), FACTS)[0].out_features == 3
    assert misfit([{"dense": "num_clases"}], (4,)) == (
        "'num_clases': unknown fact; did you mean 'num_classes'?",
        ("layers", 0, "dense"),
    )
    assert misfit([{"dense": {"size": "class_names"}}], (4,)) == (
        "the fact 'class_names' is no size; sizes are num_classes",
        ("layers", 0, "dense", "size"),
    )
    assert misfit([{"embedding": 8}], (4,))[1] == ("layers", 0, "embedding", "vocab_size")
