from collections import Counter

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn.model_selection import train_test_split

from dlx.data.splits import draw
from dlx.errors import ComponentError


@given(st.integers(10, 200), st.sampled_from([0.0, 0.1, 0.25]), st.sampled_from([0.0, 0.2, 0.5]), st.integers(0, 100))
def test_splits_are_a_partition_in_ascending_order(size, val, test, seed):
    splits = draw(size, val, test, seed)
    assert sorted(i for numbers in splits.values() for i in numbers) == list(range(size))
    assert all(numbers == sorted(numbers) for numbers in splits.values())
    assert set(splits) == {"train"} | {name for name, part in (("val", val), ("test", test)) if part}
    assert splits == draw(size, val, test, seed)


@given(
    st.lists(st.integers(0, 4), min_size=30, max_size=120),
    st.floats(0.05, 0.6),
    st.integers(0, 2**32 - 1),
    st.booleans(),
)
def test_what_is_drawn_is_what_scikit_learn_draws(labels, test, seed, stratified):
    count = int(np.ceil(test * len(labels) - 1e-9))
    try:
        rest, part = train_test_split(
            np.arange(len(labels)), test_size=count, random_state=seed, stratify=labels if stratified else None
        )
    except ValueError:
        with pytest.raises(ComponentError):
            draw(len(labels), 0.0, test, seed, labels if stratified else None)
        return
    splits = draw(len(labels), 0.0, test, seed, labels if stratified else None)
    assert splits == {"train": sorted(rest.tolist()), "test": sorted(part.tolist())}
    val = int(np.ceil(0.1 * len(labels) - 1e-9))
    if val >= 5 and (not stratified or min(Counter(np.array(labels)[rest].tolist()).values()) > 1):
        kept = np.array(labels)[rest] if stratified else None
        drawn = train_test_split(rest, test_size=val, random_state=seed, stratify=kept)[1]  # of them in their drawn order
        assert draw(len(labels), 0.1, test, seed, labels if stratified else None)["val"] == sorted(drawn.tolist())


def test_the_test_split_does_not_depend_on_val():
    assert draw(100, 0.1, 0.2, 0)["test"] == draw(100, 0.3, 0.2, 0)["test"] == draw(100, 0, 0.2, 0)["test"]
    assert draw(100, 0.1, 0.2, 0)["test"] != draw(100, 0.1, 0.2, 1)["test"]


def test_every_class_keeps_its_share():
    labels = ["a"] * 60 + ["b"] * 30 + ["c"] * 10
    splits = draw(100, 0.2, 0.2, 0, labels)
    for name, size in (("train", 60), ("val", 20), ("test", 20)):
        shares = {"a": 0.6 * size, "b": 0.3 * size, "c": 0.1 * size}
        assert Counter(labels[i] for i in splits[name]) == shares


def test_a_fraction_of_the_whole_is_counted_exactly():
    assert len(draw(30, 0.1, 0.1, 0)["val"]) == 3


@pytest.mark.parametrize(
    ("size", "val", "test", "labels", "path", "message"),
    [
        (10, 0.5, 0.5, None, ("val",), "val 0.5 and test 0.5 leave nothing to train on"),
        (10, 0.0, 0.2, ["a"] * 9 + ["b"], ("test",), "between train and test: 'b' has one flower only; plant more"),
        (11, 0.0, 0.2, ["a"] * 9 + ["b", "c"], ("test",), "'b', 'c' have one flower only; plant more"),
        (10, 0.0, 0.2, [1] * 9 + [2], ("test",), "'2' has one flower only; plant more"),
        (10, 0.0, 0.1, ["a"] * 5 + ["b"] * 5, ("test",), "cannot draw 1 of 10 flowers for test"),
        (1, 0.2, 0.0, None, ("val",), "cannot draw 1 of 1 flowers for val"),
    ],
)
def test_too_few_rows_are_a_misfit(size, val, test, labels, path, message):
    with pytest.raises(ComponentError, match=message) as caught:
        draw(size, val, test, 0, labels, unit="flower", remedy="plant more")
    assert caught.value.path == path
