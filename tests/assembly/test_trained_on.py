"""What a checkpoint keeps of its data, held against the data at hand."""

import pytest

from dlx.assembly.trained_on import TrainedOn, alike
from dlx.core import Source
from dlx.errors import DlxError, UsageError


class Stub(Source):
    def __init__(self, facts=(), digests=(), drawn=()):
        self.facts, self.digests, self.drawn = dict(facts), dict(digests), frozenset(drawn)

    def train(self, actor):
        return iter(())

    def evaluate(self, actor, split):
        return iter(())


def kept(facts=(), digests=()):
    return TrainedOn(dict(facts), None, dict(digests))


def test_rounding_is_no_difference_but_every_other_change_is():
    assert alike({"std": [0.9467990976243178]}, {"std": [0.946799097624317]})
    assert alike([1.0, "a", None, True], [1, "a", None, True])
    for one, other in (([1], [2]), ([1.0], [1.001]), (["a"], ["b"]), ([1], [1, 2]), ({"a": 1}, {"b": 1}), (1, "1")):
        assert not alike(one, other)


def test_facts_decide_only_where_digests_cannot():
    one = kept({"target_std": [1.0], "num_classes": 3})
    one.hold(Stub({"target_std": [1.0 + 1e-12], "num_classes": 3}))
    with pytest.raises(DlxError, match="num_classes was 3 and is 4"):
        one.hold(Stub({"num_classes": 4}))
    kept({"num_classes": 3}, {"train": "a"}).hold(Stub({"num_classes": 4}, {"train": "a"}))


@pytest.mark.parametrize(("split", "word"), [("train", "training"), ("val", "validation")])
def test_training_goes_on_only_with_the_examples_it_began_with(split, word):
    begun = kept(digests={"train": "a", "val": "b", "test": "c"})
    begun.refuse_changed(Stub(digests={"train": "a", "val": "b", "test": "other"}), "data 'csv'")
    changed = {"train": "a", "val": "b"} | {split: "other"}
    with pytest.raises(UsageError, match=f"the {word} split is not the one that this run began with"):
        begun.refuse_changed(Stub(digests=changed), "data 'csv'")
    kept().refuse_changed(Stub(digests=changed), "data 'csv'")  # a checkpoint made before there were digests


def test_a_changed_test_split_is_told_and_a_drawn_one_refused(caplog):
    begun = kept(digests={"train": "a", "test": "c"})
    begun.tell_changed(Stub(digests={"test": "c"}, drawn={"test"}), "test", "data 'csv'")
    assert not caplog.records
    begun.tell_changed(Stub(digests={"test": "other"}), "test", "data 'csv'")
    assert "the test split is not the one" in caplog.text
    with pytest.raises(UsageError, match="may have been trained on"):
        begun.tell_changed(Stub(digests={"test": "other"}, drawn={"test"}), "test", "data 'csv'")
