"""Evaluation encodes by the checkpoint's processor, and reads only the files of the splits it needs."""

import json
import os

import pytest
import torch

from dlx.commands.evaluate import evaluate
from dlx.commands.train import train
from dlx.errors import ComponentError, DlxError, UsageError
from dlx.registry import processors, sources
from dlx.registry.signatures import check

ROWS = ["a,c,y", *(f"{i},{'rst'[i % 3]},{i % 2}" for i in range(40))]


def write(folder, lines, name):
    (folder / name).write_text("\n".join(lines) + "\n")
    return str(folder / name)


def build(name="csv", processor=None, wanted=None, task_target="", **choices):
    sources.names()
    values, faults = check(sources.signatures[name], choices)
    assert not faults, faults
    facts = {"seed": 0, "processor": processor, "wanted_splits": wanted, "task_target": task_target}
    return sources.build(name, values, facts)


def restored(source):
    return processors.get(source.processor.name).from_state(json.loads(json.dumps(source.processor.state_dict())))


def same(one, other, split):
    return all(torch.equal(one.data[split][word], other.data[split][word]) for word in one.data[split])


def test_a_test_split_of_its_own_needs_no_training_file(tmp_path):
    files = {"train": write(tmp_path, ROWS, "train.csv"), "test": write(tmp_path, ROWS[:1] + ROWS[5:12], "test.csv")}
    first = build(**files, target="y")
    (tmp_path / "train.csv").write_text("nonsense")
    again = build(**files, target="y", processor=restored(first), wanted=frozenset(["test"]))
    assert again.splits() == ["test"]
    assert same(first, again, "test")
    assert again.digests == {"test": first.digests["test"]}
    assert again.facts == {key: value for key, value in first.facts.items() if key != "class_counts"}


def test_a_drawn_test_split_needs_the_training_file_and_is_the_same(tmp_path):
    file = write(tmp_path, ROWS, "train.csv")
    first = build(train=file, target="y")
    again = build(train=file, target="y", processor=restored(first), wanted=frozenset(["test"]))
    assert again.splits() == ["test"]
    assert same(first, again, "test")
    assert first.drawn == again.drawn == {"val", "test"}
    write(tmp_path, [], "train.csv")
    with pytest.raises(ComponentError, match="is empty"):
        build(train=file, target="y", processor=restored(first), wanted=frozenset(["test"]))


def test_nothing_is_fitted_again(tmp_path):
    file = write(tmp_path, ROWS, "train.csv")
    first = build(train=file, target="y", val=0, test=0)
    changed = write(tmp_path, [*ROWS, "1000,z,1"], "train.csv")
    again = build(train=changed, target="y", val=0, test=0, processor=restored(first))
    assert again.processor.state_dict() == first.processor.state_dict()
    assert torch.equal(again.data["train"]["input"][:40], first.data["train"]["input"])
    assert again.digests["train"] != first.digests["train"]


def test_digests_follow_the_cells_and_their_order_and_not_how_they_are_written(tmp_path):
    def digest(lines):
        return build(train=write(tmp_path, lines, "train.csv"), target="y", val=0, test=0).digests["train"]

    one = digest(ROWS)
    assert digest([line.replace(",", " , ") for line in ROWS]) == one
    assert digest([ROWS[0], *reversed(ROWS[1:])]) != one
    assert digest([*ROWS[:-1], "39,s,1"]) != one


def test_a_dropped_column_has_no_part_in_the_digest(tmp_path):
    def digest(end):
        lines = [f"{line},{end if i else 'note'}" for i, line in enumerate(ROWS)]
        file = write(tmp_path, lines, "train.csv")
        return build(train=file, target="y", drop=["note"], val=0, test=0).digests["train"]

    assert digest("x") == digest("z")


def test_a_processor_of_another_kind_or_of_other_columns_is_refused(tmp_path):
    file = write(tmp_path, ROWS, "train.csv")
    iris = restored(build("iris"))
    with pytest.raises(UsageError, match="lacks the column 'sepal length"):
        build(train=file, target="y", processor=iris)
    with pytest.raises(UsageError, match="other columns"):
        build("wine", processor=iris)

    class Other:
        name = "image"

    with pytest.raises(UsageError, match="its processor is 'image'"):
        build(train=file, target="y", processor=Other())
    with pytest.raises(UsageError, match="its processor is 'image'"):
        build("digits", processor=Other())


@pytest.mark.parametrize("name", ["iris", "wine", "breast_cancer", "diabetes", "digits", "truth_table"])
def test_bundled_tables_take_a_processor_and_the_wanted_splits(name):
    first = build(name)
    again = build(name, processor=restored(first), wanted=frozenset(["test"]))
    assert again.splits() == ["test"]
    assert same(first, again, "test")
    assert again.digests == {"test": first.digests["test"]}
    assert all(first.facts[key] == value for key, value in again.facts.items())
    assert set(first.digests) == {"train", "val", "test"}


CONFIG = """
task: {{name: classification}}
data: {{name: csv, train: {folder}/train.csv, test: {folder}/test.csv, target: y, val: 0.2}}
model: {{name: mlp, hidden: [8]}}
epochs: 4
"""


@pytest.fixture
def run(tmp_path):
    write(tmp_path, ROWS, "train.csv")
    write(tmp_path, ROWS[:1] + ROWS[3:20], "test.csv")
    config = tmp_path / "small.yaml"
    config.write_text(CONFIG.format(folder=tmp_path))
    return train(str(config), [], name=None, resume=False, runs=tmp_path / "runs", quiet=True)["run"]


def test_eval_is_not_moved_by_a_changed_training_file_and_resume_refuses_it(tmp_path, run):
    before = evaluate(run, [], "test")
    write(tmp_path, [*ROWS[:-1], "100000,s,1"], "train.csv")
    after = evaluate(run, [], "test")
    assert {k: v for k, v in before.items() if "/" in k} == {k: v for k, v in after.items() if "/" in k}
    with pytest.raises(UsageError, match="the training split is not the one that this run began with"):
        train(run, ["epochs=6"], name=None, resume=True, runs=tmp_path / "runs", quiet=True)
    write(tmp_path, [ROWS[0], *reversed(ROWS[1:])], "train.csv")
    with pytest.raises(DlxError, match="drawn from the training data"):
        evaluate(run, [], "val")
    os.remove(tmp_path / "train.csv")
    assert evaluate(run, [], "test")["test/accuracy"] == before["test/accuracy"]
