"""`dlx init`: a config from data, which trains at once."""

import csv
import json
import random
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from tests.helpers import recordings

from dlx.commands.check import check
from dlx.commands.init import init
from dlx.config import spec
from dlx.errors import UsageError


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def table(file, header, rows, delimiter=","):
    with Path(file).open("w", newline="") as opened:
        writer = csv.writer(opened, delimiter=delimiter)
        writer.writerows([header, *rows])


def rows(count=60, gaps=False):
    draw = random.Random(0)
    for number in range(count):
        x = draw.gauss(0, 1)
        gap = gaps and number % 7 == 0
        yield [
            f"row {number}",
            "" if gap else f"{x:.3f}",
            draw.choice(["rome", "oslo"]),
            "yes" if x > 0 else "no",
            f"{9 * x:.2f}",
        ]


HEADER = ["key", "x", "town", "label", "rent"]


def found(file):
    values = spec.load(file).values
    assert f"{file}: all is well" in check(file, [])
    return values


def test_a_table_with_classes():
    table("people.csv", HEADER, rows())
    said = init("people.csv", None, None)
    assert "data.target: guessed by its name" in said
    assert "wrote people.yaml" in said
    values = found("people.yaml")
    assert values["task"] == "classification"
    assert (values["data"]["target"], values["data"]["drop"]) == ("label", ["key"])
    assert "an estimate" in said or "estimated" in said
    text = Path("people.yaml").read_text()
    assert "#   town" in text
    assert "category of 2: oslo, rome" in text


def test_a_table_of_numbers_with_gaps_and_semicolons():
    table("flats.csv", HEADER, rows(gaps=True), ";")
    init("flats.csv", Path("other.yaml"), "rent")
    values = found("other.yaml")
    assert values["task"] == "regression"
    assert values["data"] | {"target": "rent", "delimiter": ";", "missing": "mean"} == values["data"]


def test_the_last_column_is_the_target_where_no_name_tells():
    table("t.csv", ["a", "b", "c"], [[i, i % 3, "uvw"[i % 3]] for i in range(30)])
    assert "guessed: the last column" in init("t.csv", None, None)
    assert found("t.yaml")["data"]["target"] == "c"


def test_nothing_is_overwritten_and_mistakes_are_told():
    table("people.csv", HEADER, rows())
    Path("people.yaml").write_text("mine")
    with pytest.raises(UsageError, match=r"people.yaml exists"):
        init("people.csv", None, None)
    assert Path("people.yaml").read_text() == "mine"
    with pytest.raises(UsageError, match="did you mean 'label'"):
        init("people.csv", Path("x.yaml"), "labell")
    with pytest.raises(UsageError, match="no file or folder"):
        init("nothing.csv", None, None)
    Path("binary.csv").write_bytes(b"\xff\xfe\x00")
    with pytest.raises(UsageError, match="no text in UTF-8"):
        init("binary.csv", None, None)
    Path("empty").mkdir()
    with pytest.raises(UsageError, match="holds no image"):
        init("empty", None, None)
    assert not Path("x.yaml").exists()


@pytest.mark.parametrize("splits", [("",), ("train", "test")])
def test_a_folder_of_images(splits):
    draw = np.random.default_rng(0)
    for split in splits:
        for kind, level in (("cats", 60), ("dogs", 190)):
            folder = Path("pets", split, kind)
            folder.mkdir(parents=True)
            for number in range(12):
                pixels = np.clip(draw.normal(level, 20, (20, 24, 3)), 0, 255).astype(np.uint8)
                Image.fromarray(pixels).save(folder / f"{number}.png")
    said = init("pets", None, None)
    assert "2 classes: cats, dogs" in said
    values = found("pets.yaml")
    assert values["data"]["image_size"] == 20
    assert values["data"]["channels"] == 3


def test_a_folder_of_spoken_words():
    recordings.words(Path("clips"), 30)
    said = init("clips", None, None)
    assert "3 classes: go, stop, yes" in said
    data = found("clips.yaml")["data"]
    assert (data["name"], data["sample_rate"]) == ("audio_folder", 8000)
    assert "by_speaker" not in data


def test_files_named_as_in_speech_commands_are_divided_by_speakers():
    for number in range(12):
        word = list(recordings.PITCH)[number % 3]
        recordings.write(Path("clips") / word / f"{number // 3}_nohash_0.wav", recordings.tone(word, number))
    init("clips", None, None)
    data = found("clips.yaml")["data"]
    assert (data["speaker_mark"], data["by_speaker"]) == ("_nohash_", True)


@pytest.mark.parametrize("form", ["list.tsv", "list.jsonl"])
def test_a_list_of_transcripts(form):
    lines = recordings.manifest(Path(), 16).read_text().splitlines()
    names, *rest = (line.split("\t") for line in lines)
    for number, row in enumerate(rest):
        row[1] += " go" * (number // 3)  # so that most differ
    objects = [dict(zip(names, row, strict=True)) for row in rest]
    content = [json.dumps(one) for one in objects] if form.endswith("l") else ["\t".join(row) for row in (names, *rest)]
    Path(form).write_text("\n".join(content) + "\n")
    said = init(form, None, None)
    assert "transcripts: " in said
    values = found("list.yaml")
    assert (values["task"], values["model"]["name"]) == ("speech_recognition", "deep_speech")
    assert (values["data"]["audio_column"], values["data"]["text_column"]) == ("audio", "text")
    assert values["data"]["by_speaker"] is True


def test_a_list_of_few_words_has_classes():
    recordings.words(Path("clips"), 30)
    files = sorted(Path("clips").rglob("*.wav"))
    table("words.csv", ["file", "said", "split"], [[file, file.parent.name, ""] for file in files])
    init("words.csv", None, None)
    data = found("words.yaml")["data"]
    assert (data["name"], data["audio_column"], data["label_column"]) == ("audio_manifest", "file", "said")
    with pytest.raises(UsageError, match="--target sayd: unknown column; did you mean 'said'"):
        init("words.csv", Path("other.yaml"), "sayd")
    table("two.csv", ["file", "one", "two"], [[file, "a", "b"] for file in files])
    with pytest.raises(UsageError, match="which column is to be learnt"):
        init("two.csv", None, None)
