"""Data sets of texts: what is read, how it is divided, and what is told."""

import logging

import pytest
import torch

from dlx.errors import ComponentError, UsageError
from dlx.registry import sources
from dlx.registry.signatures import check


def build(name, **choices):
    assert name in sources
    checked, faults = check(sources.signatures[name], choices)
    assert not faults, faults
    return sources.build(name, checked, {"seed": 0})


def write(folder, positive, negative):
    (folder / "pos").write_text("\n".join(positive) + "\n", encoding="utf-8")
    (folder / "neg").write_text("\n".join(negative) + "\n", encoding="utf-8")
    return {"path": str(folder), "files": {"good": "pos", "bad": "neg"}, "batch_size": 4}


def numbered(kind, count):
    return [f"{kind} " + "word " * (n % 7) + str(n) for n in range(count)]


def texts(source, split):
    """Read a split back into pieces, by the order of its rows."""
    known = source.processor.vocabulary()
    found = {}
    for batch in source.evaluate(None, split):
        for row, length, index in zip(batch["input"].tolist(), batch["length"].tolist(), batch["index"].tolist(), strict=True):
            found[index] = " ".join(known[code] for code in row[:length])
            assert not any(row[length:])
    return [found[index] for index in sorted(found)]


def test_what_was_written_is_what_is_read(tmp_path):
    positive, negative = numbered("good", 30), numbered("bad", 30)
    source = build("text_files", **write(tmp_path, positive, negative))
    train = texts(source, "train")
    assert len(train) == 48
    assert set(train) <= {*positive, *negative}  # in training no piece is unknown
    held_out = texts(source, "val") + texts(source, "test")
    assert all(text.split()[0] in ("good", "bad") for text in held_out)
    assert len(train) + len(held_out) == 60
    assert source.facts["class_names"] == ["bad", "good"]
    assert source.facts["class_counts"] == [24, 24]


def test_batches_hold_texts_of_like_length_and_every_text_once_an_epoch(tmp_path):
    source = build("text_files", **write(tmp_path, numbered("good", 40), numbered("bad", 40)))
    first, second = list(source.train(None)), list(source.train(None))
    for epoch in (first, second):
        rows = torch.cat([batch["index"] for batch in epoch]).sort().values
        assert torch.equal(rows, torch.arange(64))
    assert not torch.equal(torch.cat([b["index"] for b in first]), torch.cat([b["index"] for b in second]))
    spread = [int(batch["length"].max() - batch["length"].min()) for batch in first]
    assert sum(spread) <= 7  # sorted before they are cut: all batches together span the lengths once
    longest = [int(batch["length"].max()) for batch in source.evaluate(None, "train")]
    assert longest == sorted(longest, reverse=True)


def test_equal_texts_are_never_divided(tmp_path):
    positive = [f"good {n % 10}" for n in range(100)]
    source = build("text_files", **write(tmp_path, positive, numbered("bad", 10)), val=0.2, test=0.2)
    parts = [set(texts(source, split)) for split in source.splits()]
    assert sum(map(len, parts)) == len(set().union(*parts))


def test_folds_cover_all_texts_once(tmp_path):
    given = write(tmp_path, numbered("good", 20), numbered("bad", 20))
    sizes = [len(build("text_files", **given, fold=fold, folds=5).data["test"]) for fold in range(5)]
    assert sizes == [8] * 5
    digests = {build("text_files", **given, fold=fold, folds=5).digests["test"] for fold in range(5)}
    assert len(digests) == 5
    with pytest.raises(ComponentError, match="from 0 to 4"):
        build("text_files", **given, fold=5, folds=5)
    with pytest.raises(ComponentError, match="leave test out"):
        build("text_files", **given, fold=0, test=0.2)
    with pytest.raises(ComponentError, match="fewer texts than there are folds"):
        build("text_files", **given, fold=0, folds=21)


def test_what_is_wrong_is_told_with_its_line(tmp_path):
    given = write(tmp_path, ["good", "", "fine", ""], ["bad"])
    with pytest.raises(UsageError, match=r"no text: .*pos:2, .*pos:4; leave such lines out"):
        build("text_files", **given)
    (tmp_path / "pos").write_bytes(b"good\nna\xefve\n")
    with pytest.raises(UsageError, match=r"pos:2"):
        build("text_files", **given)
    (tmp_path / "pos").unlink()
    with pytest.raises(UsageError, match="is no file"):
        build("text_files", **given)


def test_a_table_says_its_splits_and_what_stands_twice_is_told(tmp_path, caplog):
    file = tmp_path / "t.tsv"
    rows = [f"text number {n}\t{'ab'[n % 2]}\t{('train', 'dev', 'test')[n % 3]}" for n in range(30)]
    file.write_text("\n".join(["text\tlabel\tpart", *rows, "text number 0\ta\ttest"]))
    with caplog.at_level(logging.WARNING, "dlx"):
        source = build("text_csv", path=str(file), split_column="part")
    assert [len(source.data[split]) for split in source.splits()] == [10, 10, 11]
    assert "test: 1 texts stand in the training split too, such as 'text number 0'" in caplog.text
    with pytest.raises(ComponentError, match="did you mean 'text'"):
        build("text_csv", path=str(file), text_column="txt")
    with pytest.raises(ComponentError, match="leave out val, test and fold"):
        build("text_csv", path=str(file), split_column="part", val=0.1)
    file.write_text("text\tlabel\nonly one cell\n")
    with pytest.raises(UsageError, match=r"t.tsv:2: has 1 cells, and the header 2"):
        build("text_csv", path=str(file))


def test_texts_that_are_cut_are_counted(tmp_path, caplog):
    given = write(tmp_path, numbered("good", 30), numbered("bad", 30))
    with caplog.at_level(logging.WARNING, "dlx"):
        source = build("text_files", **given, max_length=5)
    assert "train: " in caplog.text
    assert "texts are cut to 5 pieces (max_length)" in caplog.text
    assert source.facts["input_shape"] == [5]
    assert max(int(batch["length"].max()) for batch in source.evaluate(None, "train")) == 5
