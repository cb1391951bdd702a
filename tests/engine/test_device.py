"""Where arithmetic is done: names, precision, threads, memory format."""

import pytest
import torch
from torch import nn

from dlx.engine.device import Device, available, choose
from dlx.errors import ComponentError


def test_the_cpu_is_always_there_and_auto_takes_the_best():
    assert available()[-1] == "cpu"
    assert choose("auto").type == available()[0]
    assert choose("cpu") == torch.device("cpu")


@pytest.mark.parametrize("name", ["gqu", "cpu0", "cuda:x", ""])
def test_a_name_that_is_none_is_told(name):
    with pytest.raises(ComponentError, match=f"'{name}' is no device; there is auto, .*cpu") as caught:
        choose(name)
    assert caught.value.path == ("name",)


@pytest.mark.parametrize("name", ["meta", "cuda", "cuda:3", "mps", "xpu"])
def test_a_device_that_is_not_here_is_told(name):
    if name.partition(":")[0] in available():
        pytest.skip("it is here")
    with pytest.raises(ComponentError, match=f"'{name}' is not available here; there is "):
        choose(name)


def test_precision_is_full_on_a_cpu_unless_asked():
    assert Device(name="cpu").precision == "float32"
    half = Device(name="cpu", precision="bfloat16")
    with half.autocast():
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == torch.bfloat16
    with Device(name="cpu").autocast():
        assert nn.Linear(2, 2)(torch.ones(1, 2)).dtype == torch.float32


@pytest.mark.parametrize(("flags", "told"), [({"avx2"}, True), ({"avx512_bf16"}, False), (set(), False)])
def test_emulated_bfloat16_is_told(monkeypatch, caplog, flags, told):
    monkeypatch.setattr("dlx.engine.device.cpu_flags", lambda: flags)
    Device(name="cpu")
    assert caplog.text == ""
    Device(name="cpu", precision="bfloat16")
    assert ("only emulates bfloat16" in caplog.text) == told


def test_threads_are_the_ones_asked_for_and_one_for_a_small_model():
    before = torch.get_num_threads()
    try:
        Device(name="cpu", threads=2).prepare(nn.Linear(2, 2))
        assert torch.get_num_threads() == 2
        device = Device(name="cpu")
        device.prepare(nn.Linear(2, 2))
        assert torch.get_num_threads() == 1
        assert device.describe() == "cpu, float32, 1 thread"
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize(("wanted", "last"), [("auto", True), ("channels_last", True), ("contiguous", False)])
def test_images_lie_with_their_channels_last(wanted, last):
    before, layer = torch.get_num_threads(), nn.Conv2d(3, 4, 3)
    Device(name="cpu", memory_format=wanted, threads=1).prepare(layer)
    torch.set_num_threads(before)
    assert layer.weight.is_contiguous(memory_format=torch.channels_last) == last


def test_random_states_come_back():
    device = Device(name="cpu")
    state = device.random_state()
    first = torch.rand(3)
    device.set_random_state(state)
    assert torch.equal(first, torch.rand(3))
