import logging
import os
import shutil

import pytest
import torch
from PIL import Image
from tests.helpers.image_files import build, classes, inputs, listed, splits, write

from dlx.errors import ComponentError


@pytest.fixture
def folder(tmp_path):
    return splits(tmp_path / "data")


def test_splits_are_folders(folder):
    source = build(folder)
    assert listed(source) == {"train": [0] * 10 + [1] * 10, "val": [0] * 4 + [1] * 4, "test": [0] * 3 + [1] * 3}
    facts = source.facts
    assert facts["input_shape"] == [3, 4, 4]
    assert facts["in_channels"] == 3
    assert facts["class_names"] == ["cat", "dog"]
    assert facts["class_counts"] == [10, 10]
    whole = torch.cat([b["input"] for b in source.evaluate(None, "train")])
    assert whole.dtype == torch.float32
    assert torch.allclose(whole.mean((0, 2, 3)), torch.zeros(3), atol=1e-5)
    assert torch.allclose(whole.std((0, 2, 3), correction=0), torch.ones(3), atol=1e-5)


def test_splits_are_drawn_from_classes(tmp_path):
    write(tmp_path / "data", classes(20))
    source = build(tmp_path / "data", val=0.25)
    assert {split: [found.count(0), found.count(1)] for split, found in listed(source).items()} == {
        "train": [11, 11], "val": [5, 5], "test": [4, 4],
    }  # fmt: skip
    assert build(tmp_path / "data", val=0.0, test=0.0).splits() == ["train"]


def test_a_class_may_be_called_train(tmp_path):
    write(tmp_path / "data", classes(10, ("plane", "train")))
    assert build(tmp_path / "data").facts["class_names"] == ["plane", "train"]


@pytest.mark.parametrize("words", [("Train", "Val", "TEST"), ("training", "Validation", "Testing"), ("TRAIN", "dev", "test")])
def test_splits_are_known_by_their_usual_words_in_any_case(folder, words):
    plain = build(folder)
    for name, word in zip(("train", "valid", "test"), words, strict=True):
        (folder / name).rename(folder / f"{word}_")  # by way of another name, for file systems that know no case
        (folder / f"{word}_").rename(folder / word)
    assert listed(build(folder)) == listed(plain)
    assert build(folder).facts["class_names"] == ["cat", "dog"]


def test_classes_may_hold_the_same_folders_where_that_is_said(tmp_path):
    write(
        tmp_path / "data", [f"{kind}/{side}/{n}.png" for kind in ("cat", "dog") for side in ("back", "front") for n in range(5)]
    )
    with pytest.raises(ComponentError, match=r"cat, dog all hold the same folders, back, front.*layout: classes"):
        build(tmp_path / "data")
    assert build(tmp_path / "data", layout="classes").facts["class_names"] == ["cat", "dog"]


def test_predict_encodes_as_training_did(folder):
    source = build(folder, cache_size=6, resize="crop")
    files = [str(folder / "test" / name) for name in classes(3)]
    batch = source.processor.encode(list(source.processor.read(files)))
    assert torch.equal(batch["input"], torch.cat([b["input"] for b in source.evaluate(None, "test")]))


def break_some(folder):
    (folder / "train/cat/00.png").write_bytes(b"nothing")
    (folder / "train/cat/01.png").write_bytes((folder / "train/cat/01.png").read_bytes()[:60])
    Image.new("RGB", (5, 5)).save(folder / "train/dog/00.png", "JPEG")
    Image.new("1", (30000, 30000)).save(folder / "test/dog/00.png")


@pytest.mark.parametrize("cache", [None, "none"])
def test_bad_files_come_in_one_report_and_are_skipped_only_when_asked(folder, caplog, cache):
    break_some(folder)
    for _ in range(2):  # the second time from the cache
        with pytest.raises(ComponentError) as caught:
            build(folder, cache)
        message = str(caught.value)
        assert message.startswith("4 of 34 images cannot be used (")
        assert "1 mislabelled" in message
        assert "1 oversized" in message
        assert "on_bad: skip" in message
        for name in (
            "train/cat/00.png: unreadable",
            "train/cat/01.png: ",
            "train/dog/00.png: mislabelled",
            "test/dog/00.png: over",
        ):
            assert name in message
    with caplog.at_level(logging.WARNING, "dlx"):
        source = build(folder, cache, on_bad="skip")
    assert "skipped: 4 of 34 images" in caplog.text
    assert source.facts["skipped_count"] == 4
    assert source.facts["class_counts"] == [8, 9]
    assert [len(found) for found in listed(source).values()] == [17, 8, 5]


@pytest.mark.parametrize("cache", [None, "none"])
def test_files_with_another_formats_ending_are_taken_where_that_is_said(folder, cache):
    Image.new("RGB", (5, 5), "red").save(folder / "train/dog/00.png", "JPEG")
    with pytest.raises(ComponentError, match="1 of 34 images cannot be used"):
        build(folder, cache)
    source = build(folder, cache, check_endings=False)
    assert source.facts["skipped_count"] == 0
    assert source.facts["class_counts"] == [10, 10]
    again = type(source.processor).from_state(source.processor.state_dict())
    batch = again.encode(list(again.read([str(folder / "train/dog/00.png")])))
    assert torch.equal(batch["input"][0], inputs(source, "train")[10])


def test_links_out_of_the_folder_are_not_followed(folder, caplog):
    write(folder.parent / "elsewhere", ["secret.png"], start=99)
    (folder / "train/cat/x.png").symlink_to(folder.parent / "elsewhere/secret.png")
    (folder / "train/dog/inside.png").symlink_to(folder / "train/dog/01.png")
    (folder / "train/bird").symlink_to(folder.parent / "elsewhere")
    with caplog.at_level(logging.WARNING, "dlx"):
        source = build(folder)
    assert source.facts["class_counts"] == [10, 11]
    assert "2 links were not followed: train/bird, train/cat/x.png" in caplog.text


def test_links_are_followed_where_that_is_said_but_in_no_circle(folder, caplog):
    write(folder.parent / "elsewhere", ["secret.png"], start=99)
    (folder / "train/cat/x.png").symlink_to(folder.parent / "elsewhere/secret.png")
    (folder / "train/bird").symlink_to(folder.parent / "elsewhere")
    (folder / "train/dog/again").symlink_to(folder / "train")
    with caplog.at_level(logging.WARNING, "dlx"):
        source = build(folder, follow_links=True, on_bad="skip")
    assert source.facts["class_names"] == ["bird", "cat", "dog"]
    assert source.facts["class_counts"] == [1, 11, 10]
    assert "1 link was not followed: train/dog/again" in caplog.text


def test_a_folder_that_cannot_be_read_is_told(folder, monkeypatch):
    scan = os.scandir

    def refused(place):
        if str(place).endswith("train/dog/"):
            raise PermissionError(13, "Permission denied", place)
        return scan(place)

    monkeypatch.setattr(os, "scandir", refused)
    with pytest.raises(ComponentError, match="train/dog/: cannot be read: Permission denied"):
        build(folder)


def test_duplicates_across_splits_are_told(folder, caplog):
    shutil.copy(folder / "train/cat/03.png", folder / "test/dog/01.png")
    shutil.copy(folder / "train/cat/03.png", folder / "valid/cat/00.png")
    with caplog.at_level(logging.WARNING, "dlx"):
        build(folder)
    assert "1 test image is in train too, byte for byte: train/cat/03.png = test/dog/01.png" in caplog.text
    assert "1 val image is in train too" in caplog.text
    assert "1 test image is in val too" in caplog.text


@pytest.mark.parametrize(
    ("names", "choices", "message"),
    [
        ([], {}, "no images in"),
        (["a.png"], {}, "1 image does not lie in class/file: a.png"),
        ([f"train/{n}" for n in classes(2)] + ["test/cow/1.png"], {}, "1 class is not in the training split: test/cow"),
        ([f"train/{n}" for n in classes(2)] + ["extra/cow/1.png"], {}, "beside train, 1 folder is no split: extra"),
        (classes(5, ("cat",)), {}, "the training images have one class only, cat; it takes two"),
        ([f"train/{n}" for n in classes(2)] + ["test/cat/1.png"], {"test": 0.5}, "has a split test of its own"),
        ([f"test/{n}" for n in classes(2)], {}, "has no training images: beside test a folder train is missing"),
        ([f"{s}/{n}" for s in ("train", "val", "Valid") for n in classes(2)], {}, "Valid and val are the same split, val"),
        ([f"fold{f}/{n}" for f in (1, 2) for n in classes(2)], {}, "fold1, fold2 all hold the same folders, cat, dog"),
        ([f"pets/{n}" for n in classes(2)], {}, "holds one folder only; did you mean .*/data/pets?"),
        (["cat/1.png", *classes(5, ("dog",))], {}, r"too few images of 'cat' \(one image only\); .* by val: 0 and test: 0"),
        (classes(5), {"test": 0.1}, "0.1 of 10 images are too few for test to have all 2 classes"),
        (classes(5), {"cache_size": 3}, "is less than image_size 4x4"),
        (classes(5), {"augment": [{"random_crop": 30}]}, "cannot be reflected"),
    ],
)
def test_what_does_not_fit_is_a_misfit(tmp_path, names, choices, message):
    (tmp_path / "data").mkdir()
    write(tmp_path / "data", names)
    with pytest.raises(ComponentError, match=message):
        build(tmp_path / "data", **choices)


def test_names_that_are_no_text_are_read_but_name_no_class(folder):
    odd = os.fsdecode(b"\xff.png")
    (folder / "train/cat/00.png").rename(folder / "train/cat" / odd)
    assert build(folder).facts["class_counts"] == [10, 10]
    processor = build(folder, "none").processor
    assert processor.encode(list(processor.read([str(folder / "train/cat")])))["input"].shape[0] == 10
    (folder / "train/dog").rename(folder / "train" / os.fsdecode(b"dog\xff"))
    shutil.rmtree(folder / "valid")
    shutil.rmtree(folder / "test")
    with pytest.raises(ComponentError, match=r"1 name of a class is no UTF-8: 'dog\\udcff'; rename it"):
        build(folder)
