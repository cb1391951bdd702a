"""A data set of images built with a checkpoint's processor: nothing is fitted, and only the wanted splits are looked at."""

import shutil

import pytest
import torch
from tests.data.image.test_torchvision_sets import write_idx
from tests.helpers.image_files import build, caches, classes, inputs, listed, splits, write

from dlx.errors import ComponentError, UsageError
from dlx.processors.image.processor import ImageProcessor
from dlx.registry import processors, sources


@pytest.fixture
def folder(tmp_path):
    return splits(tmp_path / "data")


def again(source):
    return ImageProcessor.from_state(source.processor.state_dict())


def wanted(processor, *names):
    return {"processor": processor, "wanted_splits": frozenset(names) if names else None}


@pytest.mark.parametrize("cache", [None, "none"])
def test_a_split_of_its_own_needs_no_other_and_is_read_as_in_training(folder, cache):
    trained = build(folder, cache)
    whole, digests = inputs(trained, "test"), trained.digests
    assert set(digests) == {"train", "val", "test"}
    assert trained.drawn == frozenset()
    for rest in ("train", "valid"):
        shutil.rmtree(folder / rest)
    source = build(folder, cache, facts=wanted(again(trained), "test"))
    assert source.splits() == ["test"]
    assert torch.equal(inputs(source, "test"), whole)
    assert source.digests == {"test": digests["test"]}
    assert source.facts["class_names"] == ["cat", "dog"]
    assert "class_counts" not in source.facts


def test_other_training_images_change_neither_the_processor_nor_the_answers(folder):
    trained = build(folder)
    before = inputs(trained, "test")
    write(folder, [f"train/{name}" for name in classes(10)], start=500)
    source = build(folder, facts=wanted(again(trained)))
    assert source.processor.state_dict() == trained.processor.state_dict()
    assert torch.equal(inputs(source, "test"), before)
    assert source.digests["test"] == trained.digests["test"]
    assert source.digests["train"] != trained.digests["train"]
    assert not torch.equal(inputs(build(folder), "test"), before)  # what fitting again would have done


def test_one_byte_an_order_or_a_label_gives_another_digest(folder):
    first = build(folder).digests["train"]
    (folder / "train/cat/03.png").rename(folder / "train/cat/99.png")
    second = build(folder).digests["train"]
    (folder / "train/cat/99.png").rename(folder / "train/dog/99.png")
    third = build(folder).digests["train"]
    with open(folder / "train/cat/04.png", "ab") as file:
        file.write(b"\0")
    assert len({first, second, third, build(folder).digests["train"]}) == 4


def test_a_drawn_split_is_drawn_again_from_the_training_images(tmp_path):
    write(tmp_path / "data", classes(20))
    trained = build(tmp_path / "data", val=0.25)
    assert trained.drawn == {"val", "test"}
    source = build(tmp_path / "data", facts=wanted(again(trained), "test"), val=0.25)
    assert source.splits() == ["test"]
    assert source.drawn == {"test"}
    assert source.digests["test"] == trained.digests["test"]
    assert torch.equal(inputs(source, "test"), inputs(trained, "test"))
    both = build(tmp_path / "data", facts=wanted(again(trained), "test", "train"), val=0.25)
    assert {split: both.digests[split] for split in ("train", "test")} == {s: trained.digests[s] for s in ("train", "test")}


def test_the_training_split_is_the_same_though_only_it_and_another_are_wanted(folder):
    trained = build(folder)
    source = build(folder, facts=wanted(again(trained), "train", "test"))
    assert source.splits() == ["train", "test"]
    assert source.digests == {split: trained.digests[split] for split in ("train", "test")}


def test_a_split_is_decoded_once_for_training_and_evaluation(folder):
    trained = build(folder)
    before = caches(folder)
    build(folder, facts=wanted(again(trained), "test"))
    assert caches(folder) == before


def test_bad_files_of_other_splits_are_nobodys_matter(folder):
    trained = build(folder)
    (folder / "train/cat/00.png").write_bytes(b"nothing")
    assert build(folder, facts=wanted(again(trained), "test")).splits() == ["test"]
    with pytest.raises(ComponentError, match=r"train/cat/00.png: unreadable"):
        build(folder, facts=wanted(again(trained), "train"))


def test_a_class_that_training_did_not_know_is_an_error(folder):
    trained = build(folder)
    (folder / "test/dog").rename(folder / "test/wolf")
    with pytest.raises(ComponentError, match="1 class is not among those that the model was trained on: test/wolf"):
        build(folder, facts=wanted(again(trained), "test"))


def test_a_class_that_a_split_lacks_keeps_its_number(folder):
    trained = build(folder)
    shutil.rmtree(folder / "test/cat")
    assert listed(build(folder, facts=wanted(again(trained), "test"))) == {"test": [1, 1, 1]}


def test_what_contradicts_the_checkpoint_is_told(folder):
    processor = again(build(folder))
    for choices, key in (
        ({"image_size": 3}, "image_size"),
        ({"cache_size": 5}, "cache_size"),
        ({"channels": 1}, "channels"),
        ({"resize": "pad"}, "resize"),
        ({"max_pixels": 99}, "max_pixels"),
    ):
        with pytest.raises(ComponentError, match=r"was .* in training, and is .* now") as caught:
            build(folder, facts=wanted(processor, "test"), **choices)
        assert caught.value.path == (key,)
    shutil.rmtree(folder / "valid")
    with pytest.raises(UsageError, match="the data has no split 'val'; it has train, test"):
        build(folder, facts=wanted(processor, "val"), val=0.0)
    iris = sources.build("iris", {"batch_size": 8}, {"seed": 0}).processor
    with pytest.raises(UsageError, match="'table', reads no images"):
        build(folder, facts=wanted(iris, "test"))


def test_a_list_is_read_for_the_wanted_split_alone(tmp_path):
    write(tmp_path, classes(10))
    rows = [f"{name},{name[:3]},{'test' if n % 5 == 0 else 'train'}" for n, name in enumerate(classes(10))]
    (tmp_path / "list.csv").write_text("\n".join(["file,label,split", *rows]))
    trained = build(tmp_path / "list.csv", name="image_csv")
    shutil.move(tmp_path / "cat/01.png", tmp_path / "gone")
    (tmp_path / "list.csv").write_text("\n".join(["file,label,split", *rows, "x.png,wolf,train"]))
    source = build(tmp_path / "list.csv", name="image_csv", facts=wanted(again(trained), "test"))
    assert source.digests == {"test": trained.digests["test"]}
    assert torch.equal(inputs(source, "test"), inputs(trained, "test"))


def test_an_array_of_torchvision_is_read_for_the_wanted_split_alone(tmp_path):
    write_idx(tmp_path / "raw", False)
    choices = {"path": str(tmp_path), "val": 1 / 3}
    trained = sources.build("mnist", choices, {"seed": 0})
    assert trained.drawn == {"val"}
    for split in ("val", "train"):
        drawn = sources.build("mnist", choices, {"seed": 0, **wanted(again(trained), split)})
        assert drawn.digests == {split: trained.digests[split]}
        assert torch.equal(inputs(drawn, split), inputs(trained, split))
    for kind in ("images-idx3", "labels-idx1"):
        (tmp_path / "raw" / f"train-{kind}-ubyte").unlink()
    source = sources.build("mnist", choices, {"seed": 0, **wanted(again(trained), "test")})
    assert source.splits() == ["test"]
    assert source.digests == {"test": trained.digests["test"]}
    assert torch.equal(inputs(source, "test"), inputs(trained, "test"))


def test_a_processor_kept_by_version_0_1_is_read():
    state = {
        "decoding": {"height": 6, "width": 6, "channels": 3, "resize": "squash", "max_pixels": 89478485},
        "size": [4, 4],
        "mean": [0.5, 0.4, 0.3],
        "std": [0.2, 0.25, 0.3],
        "class_names": ["cat", "dog"],
    }
    made = processors.get("image").from_state(state)
    assert made.decoding.check_endings
    assert {**made.state_dict(), "decoding": state["decoding"]} == state
    assert made.describe() == ["images of 4x4 pixels, stored as 6x6, colour, squash", "2 classes: cat, dog"]
