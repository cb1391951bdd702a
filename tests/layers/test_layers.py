from pathlib import Path

import pytest
import torch

from dlx.layers.shorthand import LayerList
from dlx.layers.stack import build_stack
from dlx.registry import layers
from dlx.registry.signatures import check_value

VECTORS = str(Path(__file__).with_name("word_vectors.txt"))
FEATURES, SEQUENCE, IMAGE = (6,), (8, 6), (4, 8, 8)
# (layer, input shape, output shape)
EXAMPLES = [
    ({"activation": "relu"}, IMAGE, IMAGE),
    ({"attention": 2}, SEQUENCE, SEQUENCE),
    ({"attention": {"heads": 3, "dropout": 0.1, "causal": True}}, SEQUENCE, SEQUENCE),
    ("attention_pool", SEQUENCE, (6,)),
    ({"attention_pool": 3}, SEQUENCE, (6,)),
    ("avg_pool", IMAGE, (4, 4, 4)),
    ("avg_pool", SEQUENCE, (4, 6)),
    ({"avg_pool": {"size": 3, "stride": 2, "padding": "same"}}, SEQUENCE, (4, 6)),
    ("batch_norm", FEATURES, FEATURES),
    ("batch_norm", SEQUENCE, SEQUENCE),
    ("batch_norm", IMAGE, IMAGE),
    ({"bidirectional": {"lstm": 5}}, SEQUENCE, (10,)),
    ({"bidirectional": {"layer": {"gru": {"size": 5, "return_sequences": True}}, "merge": "sum"}}, SEQUENCE, (8, 5)),
    ({"bidirectional": {"lstm": {"size": 5, "return_sequences": True, "num_layers": 2, "dropout": 0.1}}}, SEQUENCE, (8, 10)),
    ({"bidirectional": {"simple_rnn": {"size": 5, "activation": "relu"}}}, SEQUENCE, (10,)),
    ({"conv1d": 5}, SEQUENCE, (6, 5)),
    ({"conv1d": {"filters": 5, "padding": "causal", "dilation": 2, "activation": "relu"}}, SEQUENCE, (8, 5)),
    ({"conv1d": {"filters": 5, "kernel_size": 4, "padding": "same", "stride": 2}}, SEQUENCE, (4, 5)),
    ({"conv2d": 5}, IMAGE, (5, 6, 6)),
    ({"conv2d": {"filters": 8, "kernel_size": [1, 2], "padding": "same", "groups": 4}}, IMAGE, (8, 8, 8)),
    ({"conv2d": {"filters": 5, "kernel_size": 4, "padding": "same", "stride": 3}}, IMAGE, (5, 3, 3)),
    ({"conv2d": {"filters": 5, "padding": 2, "initializer": "he_normal"}}, IMAGE, (5, 10, 10)),
    ({"conv_transpose2d": 5}, IMAGE, (5, 16, 16)),
    ({"conv_transpose2d": {"filters": 5, "kernel_size": 3}}, IMAGE, (5, 16, 16)),
    ({"conv_transpose2d": {"filters": 5, "kernel_size": 2, "stride": 3}}, IMAGE, (5, 24, 24)),
    ({"conv_transpose2d": {"filters": 5, "padding": "valid"}}, IMAGE, (5, 18, 18)),
    ({"dense": 5}, FEATURES, (5,)),
    ({"dense": "num_classes"}, SEQUENCE, (8, 3)),
    *[
        ({"dense": {"size": 5, "bias": False, "activation": "gelu", "initializer": name}}, FEATURES, (5,))
        for name in ("default", "glorot_uniform", "glorot_normal", "he_uniform", "lecun_normal", "orthogonal", "zeros")
    ],
    ({"depthwise_conv2d": {"multiplier": 2, "padding": "same"}}, IMAGE, (8, 8, 8)),
    ({"dropout": 0.2}, SEQUENCE, SEQUENCE),
    ("elu", FEATURES, FEATURES),
    ({"embedding": {"size": 5, "vocab_size": 9}}, (8,), (8, 5)),
    ("flatten", IMAGE, (256,)),
    *[
        (name, SEQUENCE, SEQUENCE)
        for name in ("gelu", "hard_sigmoid", "hard_swish", "mish", "prelu", "relu", "relu6", "selu", "sigmoid")
    ],
    *[(name, IMAGE, IMAGE) for name in ("silu", "softmax", "softplus", "softsign", "tanh")],
    ("global_avg_pool", IMAGE, (4,)),
    ("global_avg_pool", SEQUENCE, (6,)),
    ("global_max_pool", IMAGE, (4,)),
    ({"group_norm": 2}, IMAGE, IMAGE),
    ({"group_norm": 2}, SEQUENCE, SEQUENCE),
    ({"gru": 5}, SEQUENCE, (5,)),
    ("instance_norm", IMAGE, IMAGE),
    ("instance_norm", SEQUENCE, SEQUENCE),
    ("layer_norm", IMAGE, IMAGE),
    ("layer_norm", SEQUENCE, SEQUENCE),
    ({"leaky_relu": 0.2}, FEATURES, FEATURES),
    ({"lstm": {"size": 5, "return_sequences": True, "num_layers": 2, "dropout": 0.1}}, SEQUENCE, (8, 5)),
    ({"lstm": {"size": 5, "dropout": 0.1}}, SEQUENCE, (5,)),
    ("global_max_pool", SEQUENCE, (6,)),
    ("max_pool", IMAGE, (4, 4, 4)),
    ({"max_pool": {"size": 2, "padding": "same"}}, SEQUENCE, (4, 6)),
    ({"max_pool": {"size": 3, "stride": 2, "padding": 1}}, SEQUENCE, (4, 6)),
    ({"max_pool": {"size": 3, "padding": "same"}}, SEQUENCE, (3, 6)),
    ({"max_pool": {"size": 2, "padding": "same"}}, (4, 5, 7), (4, 3, 4)),
    ({"noise": 0.1}, FEATURES, FEATURES),
    ({"permute": [2, 1]}, SEQUENCE, (6, 8)),
    ("positions", SEQUENCE, SEQUENCE),
    ({"positions": "sinusoidal"}, (8, 5), (8, 5)),
    ({"repeat": 7}, FEATURES, (7, 6)),
    ({"reshape": [2, -1, 4]}, IMAGE, (2, 32, 4)),
    ({"residual": [{"dense": 6}, "relu"]}, FEATURES, FEATURES),
    ({"residual": {"layers": [{"dense": 9}], "activation": "relu"}}, SEQUENCE, (8, 9)),
    ({"residual": [{"conv2d": {"filters": 7, "stride": 2, "padding": "same"}}]}, IMAGE, (7, 4, 4)),
    ({"residual": [{"residual": [{"dense": "num_classes"}]}]}, FEATURES, (3,)),
    ({"separable_conv2d": {"filters": 5, "kernel_size": 2, "padding": "same", "activation": "relu"}}, IMAGE, (5, 8, 8)),
    ({"separable_conv2d": 5}, IMAGE, (5, 6, 6)),
    ({"simple_rnn": {"size": 5, "activation": "relu"}}, SEQUENCE, (5,)),
    ({"spatial_dropout": 0.2}, SEQUENCE, SEQUENCE),
    ({"spatial_dropout": 0.2}, IMAGE, IMAGE),
    ({"upsample": 2}, IMAGE, (4, 16, 16)),
    ({"upsample": {"factor": 3, "mode": "bilinear"}}, IMAGE, (4, 24, 24)),
    ({"transformer_encoder": 2}, SEQUENCE, SEQUENCE),
    ({"transformer_encoder": {"heads": 3, "size": 5, "activation": "gelu", "causal": True}}, SEQUENCE, SEQUENCE),
    ("upsample", SEQUENCE, (16, 6)),
    ({"word_vectors": {"file": VECTORS, "size": 3}}, (8,), (8, 3)),
    ({"word_vectors": {"file": VECTORS, "size": 3, "frozen": True}}, (8,), (8, 3)),
    ("zero_pad", IMAGE, (4, 10, 10)),
    ({"zero_pad": [1, 2]}, IMAGE, (4, 10, 12)),
    ("zero_pad", SEQUENCE, (10, 6)),
]


def name_of(item):
    return item if isinstance(item, str) else next(iter(item))


@pytest.mark.parametrize("name", layers.names())
def test_every_layer_has_one_sentence(name):
    assert layers.summary(name).endswith((".", ";", ":")) or ":" in layers.summary(name)


@pytest.mark.parametrize("item", [item for item, _, _ in EXAMPLES], ids=lambda value: str(value)[:40])
def test_a_layer_is_written_as_the_schema_says(item):
    assert check_value(LayerList, [item], ())[1] == []


def test_a_causal_convolution_sees_no_later_step():
    stack = build_stack([{"conv1d": {"filters": 2, "padding": "causal", "kernel_size": 3}}], (8, 1), {})
    input = torch.rand(1, 8, 1)
    changed = input.clone()
    changed[0, 5] += 1
    assert torch.equal(stack(input)[0, :5], stack(changed)[0, :5])


def test_a_causal_attention_sees_no_later_step():
    stack = build_stack([{"attention": {"heads": 2, "causal": True}}], (8, 4), {})
    input = torch.rand(1, 8, 4)
    changed = input.clone()
    changed[0, 5] += 1
    torch.testing.assert_close(stack(input)[0, :5], stack(changed)[0, :5])


def test_same_padding_is_pytorchs_own():
    torch.manual_seed(0)
    stack = build_stack([{"conv2d": {"filters": 5, "kernel_size": [4, 3], "padding": "same"}}], IMAGE, {})
    torch.manual_seed(0)
    plain = torch.nn.Conv2d(4, 5, (4, 3))
    own = torch.nn.functional.pad(torch.arange(2.0 * 256).reshape(2, *IMAGE), (1, 1, 1, 2))
    torch.testing.assert_close(stack(torch.arange(2.0 * 256).reshape(2, *IMAGE)), plain(own))


def test_bidirectional_answers_with_the_last_state_of_each_direction():
    stack = build_stack([{"bidirectional": {"gru": 3}}], SEQUENCE, {})
    input = torch.rand(2, *SEQUENCE)
    every, _ = stack[0].rnn(input)
    torch.testing.assert_close(stack(input), torch.cat((every[:, -1, :3], every[:, 0, 3:]), -1))


@pytest.mark.parametrize(("given", "deviation"), [({}, 0.1), ({"deviation": 1.0}, 1.0)])
def test_embeddings_are_drawn_with_their_deviation_and_padding_stays_zero(given, deviation):
    torch.manual_seed(0)
    layer = layers.build("embedding", {"size": 50, "vocab_size": 400, "padding_index": 0} | given, {"input_shape": (3,)})
    assert float(layer.weight[1:].detach().std()) == pytest.approx(deviation, rel=0.02)
    assert not layer.weight[0].any()
