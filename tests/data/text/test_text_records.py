"""Texts in JSON lines and in folders: what is read, and what is refused."""

import pytest
from tests.helpers.examples import sources

from dlx import registry
from dlx.errors import UsageError
from dlx.testing.common import build


def made(name, choices):
    return build(registry.sources, name, choices, {"seed": 3})


def test_folders_of_splits_and_classes_are_read(tmp_path):
    source = made("text_folder", sources.text_folder(tmp_path, None))
    assert source.splits() == ["train", "val", "test"]
    assert source.facts["class_names"] == ["x", "y", "z"]
    assert [len(source.data[split]) for split in source.splits()] == [30, 15, 15]
    assert not source.drawn


def test_folders_of_classes_are_divided(tmp_path):
    for kind in ("good", "bad"):
        (tmp_path / kind).mkdir()
        for n in range(20):
            (tmp_path / kind / f"{n}.txt").write_text(f"{kind} film\nof {n}")
    source = made("text_folder", {"path": str(tmp_path), "val": 0.2, "test": 0.2})
    assert source.drawn == {"val", "test"}
    assert sum(len(part) for part in source.data.values()) == 40
    (tmp_path / "good" / "empty.txt").write_text(" \n")
    with pytest.raises(UsageError, match=r"no text: .*good/empty\.txt"):
        made("text_folder", {"path": str(tmp_path)})


def test_folders_without_texts_or_without_training_are_refused(tmp_path):
    with pytest.raises(UsageError, match=r"no class/file\.txt"):
        made("text_folder", {"path": str(tmp_path)})
    (tmp_path / "test").mkdir()
    with pytest.raises(UsageError, match="none for train"):
        made("text_folder", {"path": str(tmp_path)})


@pytest.mark.parametrize(
    ("line", "message"),
    [
        ('{"text": "a"}', r"texts\.jsonl:2: unknown key"),
        ('["a", "b"]', r"texts\.jsonl:2: is no JSON object"),
        ("{", r"texts\.jsonl:2: is no JSON"),
        ('{"text": " ", "label": "x"}', r"no text: .*texts\.jsonl:2"),
    ],
)
def test_json_lines_that_are_no_text_are_named(tmp_path, line, message):
    (tmp_path / "texts.jsonl").write_text(f'{{"text": "b", "label": "y"}}\n{line}\n')
    with pytest.raises(UsageError, match=message):
        made("text_jsonl", {"path": str(tmp_path / "texts.jsonl")})


def test_json_lines_may_say_which_split_they_are_in(tmp_path):
    lines = [
        f'{{"text": "{n} film", "label": "{"xy"[n % 2]}", "part": "{("train", "dev", "test")[n % 3]}"}}' for n in range(12)
    ]
    (tmp_path / "texts.jsonl").write_text("\n".join(lines))
    source = made("text_jsonl", {"path": str(tmp_path / "texts.jsonl"), "split_key": "part"})
    assert [len(source.data[split]) for split in source.splits()] == [4, 4, 4]
