"""Padding changes nothing: a text alone is answered as beside a longer one."""

import pytest
import torch
from tests.helpers.examples import sources

from dlx import registry
from dlx.registry import models
from dlx.registry.signatures import check
from dlx.testing.common import build

FACTS = {"vocab_size": 30, "num_classes": 3, "input_shape": [40], "padded": True}
SETTINGS = [
    ("text_cnn", {}),
    ("text_cnn", {"widths": [1, 7]}),
    *[
        ("text_rnn", {"cell": cell, "pooling": pooling, "bidirectional": both, "num_layers": layers, "size": 6})
        for cell, pooling, both, layers in (
            ("lstm", "attention", True, 2), ("lstm", "last", True, 1), ("gru", "max", True, 2), ("gru", "last", False, 2),
            ("simple_rnn", "mean", True, 1), ("simple_rnn", "last", True, 2),
        )
    ],
]  # fmt: skip
EMBEDDING = {"embedding": 8}
CELLS = ("simple_rnn", "lstm", "gru")
DEEP = {"size": 6, "return_sequences": True, "num_layers": 2}
STACKS = [
    *[[{cell: 6}] for cell in CELLS],
    *[[{cell: DEEP}, {cell: 6}] for cell in CELLS],
    *[[{cell: {"size": 6, "num_layers": 2}}] for cell in CELLS],
    *[[{"bidirectional": {cell: 6}}] for cell in CELLS],
    *[[{"bidirectional": {"layer": {cell: DEEP}, "merge": "sum"}}, {"bidirectional": {cell: 6}}] for cell in CELLS],
    *[[{"bidirectional": {cell: DEEP}}, "global_avg_pool"] for cell in CELLS],
    [{"conv1d": {"filters": 6, "padding": "same", "activation": "sigmoid"}}, "global_max_pool"],
    [{"conv1d": {"filters": 6, "padding": "same", "kernel_size": 4, "stride": 2}}, "global_avg_pool"],
    [{"conv1d": 6}, "relu", {"conv1d": {"filters": 6, "kernel_size": 5, "dilation": 2}}, "global_max_pool"],
    [{"conv1d": {"filters": 6, "padding": 3}}, "global_avg_pool"],
    [{"conv1d": {"filters": 6, "padding": "causal", "dilation": 2}}, {"lstm": 6}],
    [{"conv1d": {"filters": 6, "padding": "same"}}, "max_pool", {"conv1d": 6}, "avg_pool", {"bidirectional": {"gru": 6}}],
    [{"max_pool": {"size": 3, "stride": 2, "padding": "same"}}, "global_avg_pool"],
    [{"avg_pool": {"size": 3, "stride": 2, "padding": "same"}}, "global_max_pool"],
    [{"avg_pool": {"size": 2, "padding": "same"}}, "attention_pool"],
    ["global_max_pool"], ["global_avg_pool"], ["attention_pool"], [{"attention_pool": 3}],
    [{"attention": 2}, "layer_norm", "attention_pool"],
    [{"attention": {"heads": 2, "causal": True}}, "global_avg_pool"],
    ["positions", "layer_norm", {"dense": {"size": 6, "activation": "tanh"}}, "global_avg_pool"],
    [{"positions": "sinusoidal"}, {"transformer_encoder": 2}, {"transformer_encoder": 2}, "layer_norm", "global_avg_pool"],
    [{"residual": [{"attention": 2}, {"dense": 8}]}, {"residual": [{"conv1d": {"filters": 6, "padding": "same"}}]}, {"gru": 6}],
    ["upsample", "zero_pad", {"conv1d": 6}, "dropout", "noise", {"spatial_dropout": 0.3}, "prelu", "global_max_pool"],
]  # fmt: skip
SETTINGS += [("sequential", {"layers": [EMBEDDING, *stack, "batch_norm", {"dense": "num_classes"}]}) for stack in STACKS]


def built(name, choices):
    checked, faults = check(models.signatures[name], choices)
    assert not faults
    return models.build(name, checked, FACTS).eval()


@pytest.mark.parametrize(("name", "choices"), [(name, choices) for name, choices in SETTINGS if name in models], ids=str)
def test_a_text_alone_is_answered_as_beside_longer_ones(name, choices):
    model = built(name, choices)
    length = torch.tensor([1, 2, 3, 5, 17, 40])
    codes = torch.randint(4, 30, (6, 40), generator=torch.Generator().manual_seed(1))
    batch = torch.where(torch.arange(40) < length[:, None], codes, 0)
    with torch.no_grad():
        together = model(batch, length)
        for row, size in enumerate(length.tolist()):
            alone = model(batch[row : row + 1, :size], length[row : row + 1])
            torch.testing.assert_close(alone[0], together[row], rtol=1e-5, atol=1e-5)
            assert alone.argmax(1) == together[row].argmax()
            if name == "sequential" and size < 17:  # without its length a text must be as long as the widest window
                continue
            torch.testing.assert_close(model(batch[row : row + 1, :size])[0], together[row], rtol=1e-4, atol=1e-5)


def test_the_backward_direction_is_that_of_torch_on_packed_texts():
    from torch.nn.utils.rnn import pack_padded_sequence, pad_packed_sequence

    from dlx.models.text.text_rnn import Layer

    layer = Layer("lstm", 5, 4, True)
    torch_s = torch.nn.LSTM(5, 4, batch_first=True, bidirectional=True)
    state = {f"{key}": value for key, value in layer.forward_rnn.state_dict().items()}
    state |= {f"{key}_reverse": value for key, value in layer.backward_rnn.state_dict().items()}
    torch_s.load_state_dict(state)
    steps, lengths = torch.randn(3, 7, 5), torch.tensor([7, 2, 5])
    packed, _ = torch_s(pack_padded_sequence(steps, lengths, batch_first=True, enforce_sorted=False))
    expected, _ = pad_packed_sequence(packed, batch_first=True)
    mask = torch.arange(7)[:, None] < lengths[:, None, None]
    torch.testing.assert_close(layer(steps, lengths) * mask, expected)


def test_data_sets_of_texts_say_that_they_pad(tmp_path, monkeypatch):
    source = build(registry.sources, "text_files", sources.text_files(tmp_path, monkeypatch), {"seed": 0})
    layers = [EMBEDDING, {"lstm": 4}, {"dense": "num_classes"}]
    model = models.build("sequential", {"layers": layers}, source.facts).eval()
    batch = source.example()
    row = batch["length"].argmin()
    length = batch["length"][row : row + 1]
    assert length < batch["input"].shape[1]
    alone = model(batch["input"][row : row + 1, :length], length)
    torch.testing.assert_close(alone[0], model(batch["input"], batch["length"])[row])


@pytest.mark.parametrize("name", ["text_csv", "pairs_csv", "dates"])
def test_so_do_all_the_others(name, tmp_path, monkeypatch):
    choices = sources.SOURCES[name](tmp_path, monkeypatch)
    assert build(registry.sources, name, choices, {"seed": 0}).facts["padded"] is True
