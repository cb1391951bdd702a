"""Records of pairs: cells and keys as they are written, further right answers, and the split that each says it is in."""

import json

import pytest
from tests.data.text.test_pairs import evaluated, made

from dlx.errors import ComponentError, UsageError

WORDS = {"tokenizer": "words", "batch_size": 4}


def objects(file, *records):
    file.write_text("".join(json.dumps(record) + "\n" for record in records))
    return str(file)


def mails(folder, **more):
    train = objects(folder / "train.jsonl", *({"body": f"mail {n}", "subject": f"about {n}"} for n in range(8)))
    one = {"body": "mail a", "subject": "a", "first": "b", "second": "a"}
    other = {"body": "mail b", "subject": "c", "first": None}
    val = objects(folder / "val.jsonl", one, other, {**one, "subject": "d", "first": ""})
    return {"train": train, "val_file": val, "test": 0.0, "source_key": "body", "target_key": "subject", **WORDS, **more}


def test_further_answers_are_references_in_evaluation_alone(tmp_path):
    source = made("pairs_jsonl", mails(tmp_path, reference_keys=["first", "second"]))
    assert dict(evaluated(source, "val")) == {"mail a": ["a", "b", "d"], "mail b": ["c"]}
    assert all(set(batch) == {"input", "length", "target", "index"} for batch in source.train(None))
    plain = made("pairs_jsonl", mails(tmp_path))
    assert dict(evaluated(plain, "val")) == {"mail a": ["a", "d"], "mail b": ["c"]}
    assert plain.digests["train"] == source.digests["train"]
    assert plain.digests["val"] != source.digests["val"]


def test_a_reference_that_no_record_has_is_told_at_its_place(tmp_path):
    with pytest.raises(ComponentError, match="'frist': no record has such a text") as told:
        made("pairs_jsonl", mails(tmp_path, reference_keys=["first", "frist"]))
    assert told.value.path == ("reference_keys", 1)


@pytest.mark.parametrize("ending", ["csv", "tsv"])
def test_columns_of_references_and_of_splits(tmp_path, ending):
    mark = "," if ending == "csv" else "\t"
    rows = [["x", "y", "more", "part"], *([f"text {n}", f"answer {n}", "", "train"] for n in range(4))]
    rows += [["text a", "one", "two", "dev"], ["text a", "three", "one", "validation"], ["text b", "four", "", "Test"]]
    (tmp_path / f"t.{ending}").write_text("\n".join(mark.join(row) for row in rows))
    columns = {"source_column": "x", "target_column": "y", "reference_columns": ["more"], "split_column": "part"}
    source = made("pairs_csv", {"train": str(tmp_path / f"t.{ending}"), **columns, **WORDS})
    assert source.splits() == ["train", "val", "test"]
    assert evaluated(source, "val") == [("text a", ["one", "two", "three"])]
    assert evaluated(source, "test") == [("text b", ["four"])]
    assert source.drawn == frozenset()
    for setting, value in {"val": 0.1, "test_file": str(tmp_path / f"t.{ending}")}.items():
        with pytest.raises(ComponentError, match=rf"split_column\); leave {setting} out"):
            made("pairs_csv", {"train": str(tmp_path / f"t.{ending}"), **columns, **WORDS, setting: value})


def test_a_split_that_is_none_is_named_and_one_that_is_missing_too(tmp_path):
    file = objects(tmp_path / "a.jsonl", *({"source": "a", "target": "b", "part": part} for part in ("test", "tset")))
    with pytest.raises(UsageError, match=r"a\.jsonl:2: 'tset' is no split: train, val or test"):
        made("pairs_jsonl", {"train": file, "split_key": "part", **WORDS})
    file = objects(tmp_path / "a.jsonl", {"source": "a", "target": "b", "part": "test"})
    with pytest.raises(UsageError, match="no split 'train' to learn from; it has test"):
        made("pairs_jsonl", {"train": file, "split_key": "part", **WORDS})
    file = objects(tmp_path / "a.jsonl", *({"text": f"a {n}", "label": "b", "part": "test"} for n in range(3)))
    with pytest.raises(UsageError, match="no split 'train' to learn from; it has test"):
        made("text_jsonl", {"path": file, "split_key": "part"})


def test_parallel_files_for_every_split_and_several_of_answers(tmp_path):
    texts = {"en": "a\nb\n", "es": "A\nB\n", "val.en": "c\nd\n", "val.es1": "C\nD\n", "val.es2": "CC\n\n"}
    for name, text in texts.items():
        (tmp_path / name).write_text(text)
    at = {name: str(tmp_path / name) for name in texts}
    choices = {"source": at["en"], "target": at["es"], "val_source": at["val.en"], "test": 0.0, **WORDS}
    source = made("parallel_lines", {**choices, "val_target": f"{tmp_path}/val.es?"})
    assert dict(evaluated(source, "val")) == {"c": ["C", "CC"], "d": ["D"]}
    assert source.splits() == ["train", "val"]
    with pytest.raises(ComponentError, match="belong together"):
        made("parallel_lines", choices)
    (tmp_path / "val.es3").write_text("C\n")
    with pytest.raises(UsageError, match=r"val\.en has 2 lines, but .*val\.es3 1"):
        made("parallel_lines", {**choices, "val_target": f"{tmp_path}/val.es?"})


def test_a_tab_at_the_edge_of_a_line_parts_an_empty_cell(tmp_path):
    (tmp_path / "t.tsv").write_bytes(b"\tsource\ttarget\r\n0\ta\tb\r\n\tc\td\r\n")
    source = made("pairs_csv", {"train": str(tmp_path / "t.tsv"), "val": 0.0, "test": 0.0, **WORDS})
    assert len(source.data["train"]) == 2
    (tmp_path / "t.tsv").write_bytes(b"source\ttarget\tmore\na\tb\tc\n\tb\tc\na\t\t\n")
    with pytest.raises(UsageError, match=r"a text is missing: \S*t\.tsv:3, \S*t\.tsv:4; leave such lines out"):
        made("pairs_csv", {"train": str(tmp_path / "t.tsv"), **WORDS})
    (tmp_path / "t.tsv").write_bytes(b"text\tlabel\na\tx\n\ty\n")
    with pytest.raises(UsageError, match=r"no text: \S*t\.tsv:3; leave"):
        made("text_csv", {"path": str(tmp_path / "t.tsv")})


def test_a_quote_in_a_file_parted_by_tabs_is_a_character_of_the_text(tmp_path):
    rows = [f'"quoted {n}\t{"xy"[n % 2]}' for n in range(40)]
    (tmp_path / "t.tsv").write_text("\n".join(["text\tlabel", *rows]))
    source = made("text_csv", {"path": str(tmp_path / "t.tsv")})
    assert sum(len(part) for part in source.data.values()) == 40
    assert '"' in source.processor.vocabulary()


@pytest.mark.parametrize(("name", "keys"), [("pairs_jsonl", ("source", "target")), ("text_jsonl", ("text", "label"))])
def test_half_a_pair_of_surrogates_is_told_where_it_stands(tmp_path, name, keys):
    for key in keys:
        lines = [dict.fromkeys(keys, "whole \U0001f600"), {**dict.fromkeys(keys, "a"), key: "half \ud800"}]
        file = objects(tmp_path / "a.jsonl", *lines)
        with pytest.raises(UsageError, match=rf"a\.jsonl:2: '{key}' has half of a pair of surrogates"):
            made(name, {("train" if name == "pairs_jsonl" else "path"): file})
