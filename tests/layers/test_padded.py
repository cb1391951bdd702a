"""Layer lists over padded sequences: which layers know the lengths, which are refused, and what comes out."""

import pytest
import torch
from tests.layers.test_layers import EXAMPLES, SEQUENCE, name_of
from torch import nn
from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

from dlx import testing
from dlx.errors import ComponentError
from dlx.layers import lengths
from dlx.layers.lengths import StepByStep, filled, turned, windows
from dlx.layers.stack import PaddedStack, build_stack
from dlx.registry import layers

FACTS = {"padded": True, "num_classes": 3}
MIXING = {"batch_norm", "group_norm", "instance_norm", "permute"}
SEQUENCES = [(item, shape) for item, shape, _ in EXAMPLES if len(shape) == 2]


def refused(items, input_shape=SEQUENCE, **facts):
    with pytest.raises(ComponentError) as caught:
        build_stack(items, input_shape, {**FACTS, **facts}, ("layers",))
    return caught.value.message, caught.value.path


@pytest.mark.parametrize(("item", "shape"), SEQUENCES, ids=lambda value: str(value)[:40])
def test_layers_over_steps_know_the_lengths_or_are_refused(item, shape):
    if name_of(item) in MIXING:
        assert refused([item], shape) == (lengths.MIXES, ("layers", 0, name_of(item)))
    else:
        assert isinstance(build_stack([item], shape, FACTS), PaddedStack)


@pytest.mark.parametrize(
    ("items", "input_shape", "place"),
    [
        (["relu", "flatten"], SEQUENCE, (1, "flatten")),
        ([{"reshape": [-1]}], SEQUENCE, (0, "reshape")),
        ([{"dense": 4}], (8,), (0, "dense")),
        (["layer_norm"], (8,), (0, "layer_norm")),
        (["softmax"], (8,), (0, "softmax")),
        ([{"repeat": 4}], (8,), (0, "repeat")),
        ([{"residual": ["batch_norm"]}], SEQUENCE, (0, "residual", 0, "batch_norm")),
        (["relu", {"residual": {"layers": ["relu", {"residual": ["batch_norm"]}]}}], SEQUENCE,
         (1, "residual", "layers", 1, "residual", 0, "batch_norm")),
    ],
)  # fmt: skip
def test_what_mixes_steps_without_the_lengths_is_refused_at_its_place(items, input_shape, place):
    assert refused(items, input_shape) == (lengths.MIXES, ("layers", *place))
    assert not isinstance(build_stack(items, input_shape, {**FACTS, "padded": False}), PaddedStack)


def test_once_the_steps_are_one_vector_every_layer_is_welcome():
    items = [
        {"lstm": 4},
        "batch_norm",
        {"dense": 6},
        {"reshape": [2, 3]},
        "batch_norm",
        "flatten",
        {"residual": ["batch_norm"]},
    ]
    stack = build_stack(items, SEQUENCE, FACTS).eval()
    assert stack(torch.rand(2, *SEQUENCE), torch.tensor([8, 3])).shape == (2, 6)
    assert not stack.keeps_steps


def test_a_residual_whose_layers_change_the_lengths_is_refused():
    message, path = refused([{"residual": [{"max_pool": {"size": 2, "padding": "same"}}, "upsample"]}])
    assert path == ("layers", 0, "residual")
    assert "change the number of steps of shorter sequences" in message
    assert "change the number" in refused([{"residual": ["global_max_pool", {"repeat": 8}]}])[0]
    kept = build_stack([{"residual": ["zero_pad", {"conv1d": 6}]}], SEQUENCE, FACTS)
    assert kept.output_length(torch.tensor([1, 8])).tolist() == [1, 8]


def test_a_layer_of_ones_own_says_whether_it_keeps_steps_apart():
    class Double(nn.Module):
        def forward(self, input):
            return 2 * input

    class Apart(Double, StepByStep):
        pass

    class Wrong(nn.Module, StepByStep):
        def forward(self, input):
            return input + input.mean(1, keepdim=True)

    with layers.scratch():
        for kind in (Double, Apart, Wrong):
            layers.adopt(kind.__name__.lower(), lambda input_shape, kind=kind: kind(), facts=("input_shape",), hidden=("kind",))
        assert refused(["double"])[0] == lengths.MIXES
        testing.check_layer("apart", SEQUENCE, SEQUENCE)
        with pytest.raises(AssertionError, match="alone gets another answer than beside"):
            testing.check_layer("wrong", SEQUENCE, SEQUENCE)


def test_without_lengths_a_padded_stack_is_a_plain_one():
    items = [{"embedding": {"size": 6, "vocab_size": 9}}, "positions", {"bidirectional": {"gru": 4}}, {"dense": 3}]
    torch.manual_seed(0)
    plain = build_stack(items, (8,), {})
    torch.manual_seed(0)
    padded = build_stack(items, (8,), FACTS)
    codes = torch.randint(9, (4, 8))
    assert torch.equal(plain(codes), padded(codes))
    assert plain.state_dict().keys() == padded.state_dict().keys()
    torch.testing.assert_close(padded(codes, torch.full((4,), 8)), plain(codes))


@pytest.mark.parametrize(
    "kind", [{"lstm": {}}, {"gru": {}}, {"simple_rnn": {}}, {"simple_rnn": {"activation": "relu"}}], ids=str
)
def test_both_directions_are_those_of_torch_on_packed_sequences(kind):
    ((name, more),) = kind.items()
    settings = {"size": 5, "return_sequences": True, "num_layers": 2, **more}
    stack = build_stack([{"bidirectional": {name: settings}}], SEQUENCE, FACTS).eval()
    input, length = torch.randn(3, *SEQUENCE), torch.tensor([7, 1, 5])
    packed, _ = stack[0].rnn(pack_padded_sequence(input, length, batch_first=True, enforce_sorted=False))
    expected, _ = pad_packed_sequence(packed, batch_first=True, total_length=8)
    torch.testing.assert_close(stack(filled(input, length, 0), length), expected)
    torch.testing.assert_close(stack[0].packed(input, length), expected)


def test_dropout_stands_between_the_layers_of_two_directions():
    settings = {"size": 50, "return_sequences": True, "num_layers": 2, "dropout": 0.9}
    stack = build_stack([{"bidirectional": {"lstm": settings}}], SEQUENCE, FACTS)
    input, length = torch.randn(3, *SEQUENCE), torch.tensor([8, 1, 5])
    assert not torch.equal(stack(input, length), stack(input, length))
    assert torch.equal(stack.eval()(input, length), stack(input, length))


def test_sequences_are_turned_round_within_their_lengths():
    steps = torch.arange(8).view(2, 4, 1).float()
    assert turned(steps, torch.tensor([4, 2]))[:, :, 0].tolist() == [[3, 2, 1, 0], [5, 4, 6, 7]]


WINDOWS = [
    (3, 1, 0, False),
    (3, 2, 1, False),
    (4, 3, 2, False),
    (5, 1, 1, False),
    (2, 2, 0, False),
    (2, 2, 0, True),
    (3, 2, 0, True),
]


@pytest.mark.parametrize(("size", "stride", "padding", "ceil"), WINDOWS)
def test_windows_are_counted_as_torch_pools(size, stride, padding, ceil):
    pool = nn.MaxPool1d(size, stride, padding, ceil_mode=ceil)
    steps = [n for n in range(1, 20) if n + 2 * padding >= size]
    real = [pool(torch.zeros(1, 1, n)).shape[2] for n in steps]
    assert windows(torch.tensor(steps), size, stride, 2 * padding, ceil).tolist() == real


def test_the_transformer_block_is_torchs_own():
    from dlx.layers.attention import SelfAttention

    torch.manual_seed(0)
    stack = build_stack([{"transformer_encoder": {"heads": 2, "size": 7}}], SEQUENCE, FACTS).eval()
    own = stack[0]
    assert isinstance(own.attention, SelfAttention)
    torchs = nn.TransformerEncoderLayer(6, 2, 7, 0.1, batch_first=True, norm_first=True).eval()
    parts = own.attention.project.weight, own.attention.project.bias
    state = {"self_attn.in_proj_weight": parts[0], "self_attn.in_proj_bias": parts[1]}
    for name, module in {
        "self_attn.out_proj": own.attention.join, "norm1": own.attention_norm, "norm2": own.network_norm,
        "linear1": own.network[0], "linear2": own.network[3],
    }.items():  # fmt: skip
        state |= {f"{name}.weight": module.weight, f"{name}.bias": module.bias}
    torchs.load_state_dict(state)
    length = torch.tensor([8, 1, 5])
    behind = torch.arange(8) >= length[:, None]
    input = torch.randn(3, *SEQUENCE).masked_fill(behind[:, :, None], 0)
    expected = torchs(input, src_key_padding_mask=behind).masked_fill(behind[:, :, None], 0)
    torch.testing.assert_close(stack(input, length), expected, rtol=1e-4, atol=1e-5)
