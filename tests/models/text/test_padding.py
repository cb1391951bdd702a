"""Padding changes nothing: a text alone is answered as beside a longer one."""

import pytest
import torch

from dlx.models.text.text_rnn import turned
from dlx.registry import models
from dlx.registry.signatures import check

FACTS = {"vocab_size": 30, "num_classes": 3}
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
            torch.testing.assert_close(alone[0], together[row], rtol=1e-4, atol=1e-5)
            torch.testing.assert_close(model(batch[row : row + 1, :size])[0], together[row], rtol=1e-4, atol=1e-5)


def test_each_text_is_turned_round_within_its_length():
    steps = torch.arange(8).view(2, 4, 1).float()
    assert turned(steps, torch.tensor([4, 2]))[:, :, 0].tolist() == [[3, 2, 1, 0], [5, 4, 6, 7]]


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
