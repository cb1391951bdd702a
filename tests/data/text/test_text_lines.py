"""Lines to learn language from: how they are divided and encoded, and what is told."""

import gzip
import logging

import pytest
import torch
from tests.helpers.examples import sources

from dlx import registry
from dlx.errors import UsageError
from dlx.processors.tokenizer import BEGIN, END
from dlx.registry.signatures import check
from dlx.testing.common import build


def made(choices, **facts):
    return build(registry.sources, "text_lines", choices, {"seed": 3, **facts})


def read(source, split):
    """Return the texts of a split, in the order of its rows."""
    found = {}
    for batch in source.evaluate(None, split):
        assert set(batch) == {"input", "length", "index"}
        for codes, length, row in zip(batch["input"].tolist(), batch["length"].tolist(), batch["index"].tolist(), strict=True):
            assert (codes[0], codes[length - 1], any(codes[length:])) == (BEGIN, END, False)
            found[row] = source.processor.detokenize(codes[:length])
    return [found[row] for row in sorted(found)]


def test_lines_are_read_as_they_are_and_blank_ones_are_passed_over(tmp_path):
    (tmp_path / "a.txt").write_text("One day.\n\n  Two days,  \n")
    with gzip.open(tmp_path / "b.txt.gz", "wt") as file:
        file.write("Three nights!\n")
    (tmp_path / "val").write_text("Two nights!\nnobody knows\n")
    source = made({"train": f"{tmp_path}/*.txt*", "val_file": str(tmp_path / "val"), "test": 0.0})
    assert source.splits() == ["train", "val"]
    assert read(source, "train") == ["One day.", "Two days,", "Three nights!"]
    assert read(source, "val") == ["Two nights!", "� �"]
    assert source.facts == {"input_shape": [256], "vocab_size": 4 + 9, "padded": True}
    assert source.drawn == frozenset()


def test_equal_lines_stay_in_one_split_and_all_of_them_are_kept(tmp_path):
    (tmp_path / "some").write_text("".join(f"{'Aa'[n // 20 % 2]} line {n % 20}\n" for n in range(100)))
    source = made({"train": str(tmp_path / "some"), "val": 0.2, "test": 0.3, "tokenizer": "bytes"})
    parts = {split: {text.lower() for text in read(source, split)} for split in source.splits()}
    assert [len(parts[split]) for split in ("train", "val", "test")] == [10, 4, 6]
    assert len(set().union(*parts.values())) == 20
    assert sum(len(part) for part in source.data.values()) == 100
    assert source.drawn == {"val", "test"}


@pytest.mark.parametrize("tokenizer", ["words", "characters", "bytes", "bpe", "unigram"])
def test_every_line_comes_once_an_epoch_within_the_budget(tmp_path, tokenizer):
    (tmp_path / "some").write_text("\n".join(sources.sentences() * 3))
    size = 290 if tokenizer in ("bpe", "unigram") else 20_000
    choices = {"train": str(tmp_path / "some"), "tokenizer": tokenizer, "tokens_per_batch": 150, "vocabulary_size": size}
    source = made(choices)
    for _ in range(2):
        epoch = list(source.train(None))
        assert torch.cat([batch["index"] for batch in epoch]).sort().values.tolist() == list(range(len(source.data["train"])))
        assert all(batch["input"].numel() <= 150 for batch in epoch)
    assert set(read(source, "train")) <= set(sources.sentences())


def test_longer_lines_are_cut_and_told_and_what_stands_twice_too(tmp_path, caplog):
    (tmp_path / "train").write_text("a b c d\na b\n")
    (tmp_path / "val").write_text("A b\nc\n")
    with caplog.at_level(logging.WARNING, "dlx"):
        source = made({"train": str(tmp_path / "train"), "val_file": str(tmp_path / "val"), "test": 0.0, "max_length": 5})
    assert "train: 1 of 2 texts are cut to 5 codes (max_length)" in caplog.text
    assert "val: 1 texts stand in the training split too, such as 'A b'" in caplog.text
    assert read(source, "train") == ["a b c", "a b"]


def test_what_is_no_text_is_told_with_its_place(tmp_path):
    file = tmp_path / "some"
    file.write_bytes(b"good\nna\xefve\n")
    with pytest.raises(UsageError, match=r"some:2: is no UTF-8 text"):
        made({"train": str(file)})
    file.write_text("\n \n")
    with pytest.raises(UsageError, match="some: has no line of text"):
        made({"train": str(file)})
    _, (fault,) = check(registry.sources.signatures["text_lines"], {"train": str(tmp_path / "*.txt")})
    assert fault.message == f"no file or pattern of files {tmp_path}/*.txt"


def test_a_checkpoints_processor_of_other_texts_is_refused(tmp_path):
    classes = build(registry.sources, "text_jsonl", sources.text_jsonl(tmp_path, None), {"seed": 0})
    with pytest.raises(UsageError, match="'text', is not for texts to go on with"):
        made(sources.text_lines(tmp_path, None), processor=classes.processor)
