import copy
import json

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import dlx.data.in_memory as memory_module
from dlx.data.in_memory import InMemorySource
from dlx.data.order import generator, permutation
from dlx.errors import ComponentError, UsageError


def source(size=10, batch_size=3, seed=0, **choices):
    words = {"input": torch.arange(size * 2.0).reshape(size, 2), "target": torch.arange(size)}
    return InMemorySource(
        seed, {"train": words, "val": {k: v[:4] for k, v in words.items()}}, {}, batch_size=batch_size, **choices
    )


def equal(one, other):
    return len(one) == len(other) and all(
        a.keys() == b.keys() and all(torch.equal(a[k], b[k]) for k in a) for a, b in zip(one, other, strict=True)
    )


@given(st.integers(0, 2**63), st.integers(0, 1000), st.integers(0, 300))
def test_permutation_has_every_sample_once_and_leaves_the_global_generator_alone(seed, epoch, size):
    before = torch.get_rng_state()
    assert permutation(seed, epoch, size).sort().values.tolist() == list(range(size))
    assert torch.equal(before, torch.get_rng_state())


def test_neighbouring_seeds_and_epochs_give_other_orders():
    orders = {tuple(permutation(seed, epoch, 20).tolist()) for seed in range(5) for epoch in range(5)}
    assert len(orders) == 25
    assert generator(1, 12).initial_seed() != generator(11, 2).initial_seed()


def test_permutation_is_the_same_for_ever():
    assert permutation(7, 3, 8).tolist() == [5, 4, 0, 7, 3, 6, 1, 2]


@given(st.integers(1, 40), st.integers(1, 45), st.booleans())
def test_an_epoch_has_every_sample_once(size, batch_size, drop_last):
    if drop_last and batch_size > size:
        with pytest.raises(ComponentError, match=f"the training split has {size} samples, less than a batch"):
            source(size, batch_size, drop_last=True)
        return
    data = source(size, batch_size, drop_last=drop_last)
    batches = list(data.train())
    seen = torch.cat([b["index"] for b in batches])
    assert len(batches) == data.batches_per_epoch
    assert len(seen.unique()) == len(seen) == (size // batch_size * batch_size if drop_last else size)
    for batch in batches:
        assert torch.equal(batch["target"], batch["index"])
        assert torch.equal(batch["input"][:, 0], batch["index"] * 2.0)
    assert data.state_dict() == {"seed": 0, "epoch": 1, "samples": 0}


@given(st.integers(1, 30), st.integers(1, 8), st.booleans(), st.integers(0, 40))
def test_resuming_after_any_batch_gives_the_rest(size, batch_size, drop_last, stop):
    batch_size = min(batch_size, size)

    def three_epochs(data):
        while data.epoch < 3:
            yield from data.train()

    whole = list(three_epochs(source(size, batch_size, drop_last=drop_last)))
    first = source(size, batch_size, drop_last=drop_last)
    states = [first.state_dict()] + [first.state_dict() for _ in three_epochs(first)]
    stop = min(stop, len(whole))
    second = source(size, batch_size, drop_last=drop_last)
    second.load_state_dict(json.loads(json.dumps(states[stop])))
    assert second.state_dict() == states[stop]
    assert equal(list(three_epochs(second)), whole[stop:])


def test_state_counts_the_batch_in_use():
    data = source(10, 4)
    states = [data.state_dict()["samples"] for _ in data.train()]
    assert states == [4, 8, 0]
    assert data.epoch == 1


def test_large_splits_are_gathered_into_the_same_batches(monkeypatch):
    small = list(source().train())
    monkeypatch.setattr(memory_module, "SMALL", 0)
    assert equal(small, list(source().train()))


def test_another_batch_size_goes_on_at_the_same_sample():
    data = source(10, 4)
    next(data.train())
    other = source(10, 3)
    other.load_state_dict(data.state_dict())
    seen = torch.cat([b["index"] for b in other.train()])
    assert torch.equal(seen, permutation(0, 0, 10)[4:])


@pytest.mark.parametrize(
    ("state", "message"),
    [
        ({"seed": 1, "epoch": 0, "samples": 0}, "belongs to seed 1, but the seed is 0"),
        ({"seed": 0, "epoch": 0, "samples": 10}, "epoch 0, sample 10 is no position in 10 training samples"),
        ({"seed": 0, "epoch": 0, "samples": -1}, "is no position"),
        ({"seed": 0, "epoch": -1, "samples": 0}, "is no position"),
        ({"seed": 0, "epoch": 0, "samples": 1.5}, "is no position"),
    ],
)
def test_a_foreign_position_is_refused(state, message):
    with pytest.raises(UsageError, match=message):
        source().load_state_dict(state)


def test_evaluation_is_in_order_and_leaves_the_data_alone():
    data = source(evaluation_batch_size=4)
    before = copy.deepcopy(data.data)
    batches = list(data.evaluate(None, "train"))
    assert torch.cat([b["index"] for b in batches]).tolist() == list(range(10))
    assert [len(b["input"]) for b in batches] == [4, 4, 2]
    for batch in batches:
        batch["input"].zero_()
    assert torch.equal(data.data["train"]["input"], before["train"]["input"])
    assert data.state_dict() == {"seed": 0, "epoch": 0, "samples": 0}


def test_an_unknown_or_empty_split_names_those_there_are():
    data = InMemorySource(0, {"train": {"input": torch.ones(2, 1)}, "test": {"input": torch.ones(0, 1)}}, {}, batch_size=1)
    assert data.splits() == ["train"]
    for split in ("test", "val"):
        with pytest.raises(UsageError, match=f"'{split}': unknown split; there is train"):
            data.evaluate(None, split)


def test_no_training_samples_is_a_misfit():
    with pytest.raises(ComponentError, match="the training split has 0 samples"):
        InMemorySource(0, {"train": {"input": torch.ones(0, 1)}}, {}, batch_size=1)


def test_uneven_words_are_a_programming_error():
    with pytest.raises(ValueError, match="the words of train have different lengths"):
        InMemorySource(0, {"train": {"input": torch.ones(2, 1), "target": torch.ones(3)}}, {}, batch_size=1)
