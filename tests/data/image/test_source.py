import json
import threading

import pytest
import torch

from dlx.data.image.pixel_source import statistics
from dlx.data.image.source import ImageSource
from dlx.data.options import Batching
from dlx.data.order import permutation
from dlx.errors import ComponentError, UsageError
from dlx.processors.image.decoding import Decoding

HEAVY = [{"random_crop": 2}, "horizontal_flip", "rand_augment", "random_erasing", "mixup"]


def source(size=22, batch_size=4, seed=0, augment=HEAVY, stored=10, drop_last=False):
    draw = torch.Generator().manual_seed(1)
    images = torch.randint(0, 256, (size, 3, stored, stored), generator=draw, dtype=torch.uint8)
    targets = torch.arange(size) % 3
    return ImageSource(
        seed, {"train": images, "val": images[:5]}, {"train": targets, "val": targets[:5]}, ["a", "b", "c"],
        Decoding(stored, stored), (8, 8), augment=augment, batching=Batching(batch_size, drop_last),
    )  # fmt: skip


def epochs(data, count):
    while data.epoch < count:
        yield from data.train()


def equal(one, other):
    return len(one) == len(other) and all(torch.equal(a[k], b[k]) for a, b in zip(one, other, strict=True) for k in a)


@pytest.mark.parametrize("drop_last", [False, True])
def test_resuming_after_any_batch_gives_the_rest_bit_for_bit(drop_last):
    whole = list(epochs(source(drop_last=drop_last), 3))
    first = source(drop_last=drop_last)
    states = [first.state_dict()] + [first.state_dict() for _ in epochs(first, 3)]
    assert len(states) == len(whole) + 1
    for stop, state in enumerate(states):
        second = source(drop_last=drop_last)
        second.load_state_dict(json.loads(json.dumps(state)))
        assert equal(list(epochs(second, 3)), whole[stop:])


def test_leaving_an_epoch_in_the_middle_leaves_nothing_behind():
    data = source()
    whole = list(epochs(source(), 2))
    batches = data.train()
    got = [next(batches), next(batches)]
    batches.close()
    got += list(epochs(data, 2))
    assert equal(got, whole)


def test_order_is_that_of_every_data_set_and_epochs_differ():
    data = source()
    first, second = list(data.train()), list(data.train())
    assert torch.equal(torch.cat([b["index"] for b in first]), permutation(0, 0, 22))
    assert torch.equal(torch.cat([b["index"] for b in second]), permutation(0, 1, 22))
    assert not equal(first, list(source(seed=1).train()))


def test_the_same_image_is_changed_anew_each_epoch():
    data = source(augment=["rand_augment"])
    by_index = [{int(i): x for b in data.train() for i, x in zip(b["index"], b["input"], strict=True)} for _ in range(2)]
    assert sum(not torch.equal(by_index[0][i], by_index[1][i]) for i in range(22)) > 11


def test_no_global_randomness_is_used():
    before = torch.get_rng_state()
    list(source().train())
    assert torch.equal(before, torch.get_rng_state())


def test_without_augmentation_training_reads_what_evaluation_does():
    data = source(augment=None)
    assert not data.random_inputs
    assert source().random_inputs
    whole = torch.cat([b["input"] for b in data.evaluate(None, "train")])
    for batch in data.train():
        assert batch["input"].shape[1:] == (3, 8, 8)
        assert batch["input"].is_contiguous()
        assert torch.equal(batch["input"], whole[batch["index"]])
        assert torch.equal(batch["target"], batch["index"] % 3)


def test_mixed_targets_are_shares_and_those_of_evaluation_are_classes():
    data = source()
    batch = next(data.train())
    assert batch["target"].shape == (4, 3)
    assert batch["target"].dtype == torch.float32
    assert next(data.evaluate(None, "val"))["target"].tolist() == [0, 1, 2, 0, 1]


def test_statistics_are_those_of_the_pixels():
    images = torch.randint(0, 256, (50, 3, 4, 5), dtype=torch.uint8)
    mean, std = statistics(images)
    assert torch.tensor(mean).sub(images.double().div(255).mean((0, 2, 3))).abs().max() < 1e-6
    assert torch.tensor(std).sub(images.double().div(255).std((0, 2, 3), correction=0)).abs().max() < 1e-6
    assert statistics(torch.full((3, 1, 2, 2), 51, dtype=torch.uint8)) == ([0.2], [pytest.approx(1 / 255)])


def test_statistics_are_the_same_by_any_number_of_threads():
    images = torch.randint(0, 256, (300, 3, 9, 7), dtype=torch.uint8)
    threads, found = torch.get_num_threads(), []
    try:
        for count in (1, 2, 3):
            torch.set_num_threads(count)
            found.append(statistics(images))
    finally:
        torch.set_num_threads(threads)
    assert found[0] == found[1] == found[2]


def test_a_failure_while_preparing_ahead_is_raised_in_its_turn():
    data = source(augment=["horizontal_flip"])
    change, calls = data.augment.change, []

    def failing(images, draw):
        calls.append(threading.current_thread())
        if len(calls) == 3:
            raise RuntimeError("broken")
        return change(images, draw)

    data.augment.change = failing
    got = data.train()
    next(got), next(got)
    with pytest.raises(RuntimeError, match="broken"):
        next(got)


def test_what_does_not_fit_is_told():
    with pytest.raises(ComponentError, match="22 samples, less than a batch"):
        source(batch_size=23, drop_last=True)
    with pytest.raises(UsageError, match="'test': unknown split"):
        source().evaluate(None, "test")
