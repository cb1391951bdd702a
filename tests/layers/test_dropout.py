"""Dropout by few random bits: as many values as asked for, the same mean, and nothing else than torch's."""

from pathlib import Path

import pytest
import torch
import torch.nn.functional as F

from dlx.layers.attention import attend
from dlx.layers.dropout import Dropout, dropout

SOURCES = sorted((Path(__file__).parents[2] / "src" / "dlx").rglob("*.py"))


@pytest.mark.parametrize("rate", [0.001, 0.1, 0.5, 0.9])
def test_so_many_values_are_dropped_and_the_others_keep_the_mean(rate):
    count = 400_000
    output = dropout(torch.ones(count), rate, True)
    kept = output != 0
    deviation = (rate * (1 - rate) / count) ** 0.5
    assert abs((~kept).float().mean() - rate) < 5 * deviation
    assert output[kept].unique().tolist() == pytest.approx([1 / (1 - rate)], rel=1e-4)
    halves = kept.view(-1, 2).float()  # neighbours, which share a number of 64 bits, know nothing of each other
    assert abs((halves[:, 0] * halves[:, 1]).mean() - (1 - rate) ** 2) < 5 * deviation


@pytest.mark.parametrize("rate", [0.0, 1e-9, 1.0])
def test_nothing_or_all_may_be_dropped(rate):
    input = torch.randn(3, 5)
    assert torch.equal(dropout(input, rate, True), torch.zeros(3, 5) if rate == 1 else input)


def test_outside_training_nothing_happens():
    layer, input = Dropout(0.5).eval(), torch.randn(3, 5)
    assert layer(input) is input
    assert not torch.equal(layer.train()(input), input)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64, torch.bfloat16])
@pytest.mark.parametrize("shape", [(7,), (3, 5), (2, 3, 4, 5), (0, 4)])
def test_gradients_are_those_of_what_was_kept(shape, dtype):
    input = (torch.rand(shape, dtype=dtype) + 1).requires_grad_()
    output = dropout(input, 0.3, True)
    output.sum().backward()
    assert output.dtype == dtype
    torch.testing.assert_close(input.grad * input.detach(), output.detach())


def test_the_order_of_memory_stays():
    images = torch.rand(2, 3, 8, 8).to(memory_format=torch.channels_last)
    assert dropout(images, 0.5, True).is_contiguous(memory_format=torch.channels_last)
    assert dropout(torch.ones(4, 6).t(), 0.5, True).stride() == (1, 6)
    assert dropout(torch.ones(1, 6).expand(4, 6), 0.5, True).shape == (4, 6)


def test_lots_follow_from_torchs_generator():
    input = torch.ones(1000)
    torch.manual_seed(3)
    state, first = torch.get_rng_state(), dropout(input, 0.5, True)
    second = dropout(input, 0.5, True)
    torch.set_rng_state(state)
    assert torch.equal(dropout(input, 0.5, True), first)
    assert torch.equal(dropout(input, 0.5, True), second)
    assert not torch.equal(first, second)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("masked", [False, True])
def test_attention_that_drops_nothing_is_torchs_own(causal, masked):
    query, key, value = (torch.randn(2, 3, 6, 4, requires_grad=True) for _ in range(3))
    mask = torch.arange(6) < torch.tensor([6, 4])[:, None, None, None] if masked and not causal else None
    wanted = F.scaled_dot_product_attention(query, key, value, mask, is_causal=causal)
    for rate in (0.0, 1e-9):
        torch.testing.assert_close(attend(query, key, value, mask, rate, causal), wanted)


def test_attention_drops_weights_and_keeps_their_mean():
    query, key, value = torch.zeros(1, 1, 2000, 4), torch.zeros(1, 1, 100, 4), torch.ones(1, 1, 100, 1)
    seen = attend(query, key, value, None, 0.25, False)
    assert seen.std() > 0
    assert seen.mean() == pytest.approx(1, abs=0.01)


def test_every_part_of_dlx_takes_this_one():
    others = [file for file in SOURCES if file.name != "dropout.py"]
    assert [file.name for file in others if "nn.Dropout(" in file.read_text() or "F.dropout(" in file.read_text()] == []
