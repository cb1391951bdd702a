"""Pairs of texts: which split they stand in, what is a batch, and what is told."""

import datetime
import logging

import pytest
import torch
from tests.helpers.examples import sources

from dlx import registry
from dlx.data.text.dates import FORMS, said
from dlx.errors import ComponentError, UsageError
from dlx.testing.common import build


def made(name, choices):
    return build(registry.sources, name, choices, {"seed": 3})


def table(folder, lines):
    (folder / "pairs.tsv").write_text("source\ttarget\n" + "".join(f"{a}\t{b}\n" for a, b in lines))
    return {"train": str(folder / "pairs.tsv"), "tokenizer": "words", "batch_size": 4}


def evaluated(source, split):
    batches = list(source.evaluate(None, split))
    return [pair for batch in batches for pair in zip(batch["text"], batch["reference"], strict=True)]


def test_a_source_text_stands_in_one_split_with_all_its_targets(tmp_path):
    lines = [(f"{'GO' if way == 2 else 'Go'} {n}.", f"vete {n} {way}") for n in range(30) for way in range(3)]
    source = made("pairs_csv", table(tmp_path, lines) | {"val": 0.2, "test": 0.3})
    seen = {split: {text.lower() for text, _ in evaluated(source, split)} for split in ("val", "test")}
    assert (len(seen["val"]), len(seen["test"])) == (6, 9)
    assert not seen["val"] & seen["test"]
    assert source.drawn == {"val", "test"}
    references = dict(evaluated(source, "test"))
    assert len(references) == len(evaluated(source, "test")), "evaluation takes each source text once"
    assert {len(found) for text, found in references.items() if text.startswith("Go")} == {2}
    assert sum(len(batch["index"]) for batch in source.train(None)) == 15 * 3


@pytest.mark.parametrize("budget", [40, 90, 10_000])
def test_no_batch_has_more_pieces_than_the_budget_and_every_pair_comes_once(tmp_path, budget):
    source = made("pairs_csv", {**sources.pairs_csv(tmp_path, None), "tokens_per_batch": budget})
    size = len(source.data["train"])
    for _ in range(2):
        batches = list(source.train(None))
        assert len(batches) == source.batches_per_epoch
        assert sorted(torch.cat([batch["index"] for batch in batches]).tolist()) == list(range(size))
        for batch in batches:
            assert batch["input"].numel() + batch["target"].numel() <= budget or len(batch["index"]) == 1
            assert (batch["target"][:, 0] == 2).all()
            assert ((batch["target"] == 3).sum(1) == 1).all()


def test_resuming_in_mid_epoch_gives_the_same_batches(tmp_path):
    choices = sources.pairs_csv(tmp_path, None)
    whole, first, other = (made("pairs_csv", choices) for _ in range(3))
    batches = [*whole.train(None), *whole.train(None)]
    stream = first.train(None)
    for _ in range(3):
        next(stream)
    other.load_state_dict(first.state_dict())
    rest = [*other.train(None), *other.train(None)]
    assert [b["index"].tolist() for b in rest] == [b["index"].tolist() for b in batches[3:]]
    with pytest.raises(UsageError, match="is no position"):
        other.load_state_dict({"seed": 3, "epoch": 0, "batches": 9_999})


def test_what_is_cut_and_what_stands_twice_is_told(tmp_path, caplog):
    for split, lines in (("train", [("a b", "x")] * 3 + [("c d e", "y z w")]), ("val", [("A b", "q")])):
        (tmp_path / f"{split}.tsv").write_text("".join(f"{a}\t{b}\n" for a, b in lines))
    columns = {"header": False, "source_column": 0, "target_column": 1, "tokenizer": "words", "test": 0.0}
    files = {"train": str(tmp_path / "train.tsv"), "val_file": str(tmp_path / "val.tsv")}
    with caplog.at_level(logging.INFO, "dlx"):
        made("pairs_csv", {**files, **columns, "max_length": 2, "max_target_length": 4})
    assert "val: 1 source texts stand in the training split too" in caplog.text
    assert "train: 1 of 4 source texts are cut to 2 pieces" in caplog.text
    assert "train: 1 of 4 targets are cut to 4 codes" in caplog.text


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"source\ttarget\na\tb\n\tc\nd\t\n", r"pairs\.tsv:3"),
        (b"source\ttarget\na\tb\tc\n", r"pairs\.tsv:2: has 3 cells"),
        (b"source\ttarget\na\t\xff\n", r"pairs\.tsv:2"),
        (b"source\ttarget\n", "no pairs"),
        (b"", "is empty"),
    ],
)
def test_lines_that_are_no_pair_are_named(tmp_path, content, message):
    (tmp_path / "pairs.tsv").write_bytes(content)
    with pytest.raises(UsageError, match=message):
        made("pairs_csv", {"train": str(tmp_path / "pairs.tsv"), "tokenizer": "words"})


def test_json_lines_and_parallel_files_say_what_is_wrong(tmp_path):
    file = tmp_path / "a.jsonl"
    file.write_text('{"source": "x", "target": "y"}\n{"source": 1.5, "target": "y"}\n')
    with pytest.raises(UsageError, match=r"a\.jsonl:2: 'source' is no text"):
        made("pairs_jsonl", {"train": str(file)})
    with pytest.raises(UsageError, match=r"a\.jsonl:1: unknown key; did you mean 'source'"):
        made("pairs_jsonl", {"train": str(file), "source_key": "sorce"})
    file.write_text('{"source": "x", "target": "y"}\n')
    with pytest.raises(ComponentError, match="which source texts are for val"):
        made("pairs_jsonl", {"train": str(file), "val_file": str(file), "val": 0.1})
    (tmp_path / "one").write_text("a\nb\n")
    (tmp_path / "other").write_text("a\n")
    with pytest.raises(UsageError, match=r"has 2 lines, but .* 1"):
        made("parallel_lines", {"source": str(tmp_path / "one"), "target": str(tmp_path / "other")})


def test_dates_are_said_and_written():
    found = evaluated(made("dates", {"tokenizer": "characters"}), "val")
    assert len(found) == 600
    for text, references in found:
        date = datetime.date.fromisoformat(references[0])
        assert text in {said(date, form) for form in FORMS}


@pytest.mark.parametrize("shared", [True, False])
def test_texts_alone_may_be_read_in_lower_case(tmp_path, shared):
    lines = [(f"Goodbye {n}. I said goodbye.", f"Adiós {n}. Dije adiós.") for n in range(30)]
    choices = {"lowercase": "source", "shared_vocabulary": shared, "vocabulary_size": 60}
    source = made("pairs_csv", table(tmp_path, lines) | choices)
    processor = type(source.processor).from_state(source.processor.state_dict())
    for one in (source.processor, processor):
        codes = one.encode(list(one.read(["Goodbye 3.", "goodbye 3."])))["input"]
        assert torch.equal(codes[0], codes[1])
        assert codes[0].min() > 1
        answers, _ = one.targets(["Adiós 3. adiós."])
        assert one.detokenize(answers[0][1:]).replace(" ", "") == "Adiós3.adiós."


@pytest.mark.parametrize(("tokenizer", "size"), [("bpe", 300), ("words", 60), ("characters", 60)])
def test_words_with_capitals_may_be_their_lower_case_behind_a_mark(tmp_path, tokenizer, size):
    lines = [(f"Goodbye {n}. I said goodbye.", f"Adiós {n}. Dije adiós, ¿NO?") for n in range(30)]
    choices = {"lowercase": "marked", "tokenizer": tokenizer, "vocabulary_size": size}
    source = made("pairs_csv", table(tmp_path, lines) | choices)
    processor = type(source.processor).from_state(source.processor.state_dict())
    assert "capitals as marks" in processor.describe()[0]
    for one in (source.processor, processor):
        capital, small = (one.encode(list(one.read([text])))["input"][0].tolist() for text in ("Goodbye 3.", "goodbye 3."))
        assert capital[-len(small) :] == small  # what is left is the mark
        assert len(capital) > len(small)
        answers, _ = one.targets(["Adiós 3. Dije adiós, ¿NO?"])
        assert one.detokenize(answers[0]) == "Adiós 3. Dije adiós, ¿NO?"
