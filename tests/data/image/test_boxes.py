import json
import logging

import numpy as np
import pytest
import torch
from PIL import Image
from tests.helpers import annotated_files as made
from tests.helpers.image_files import build

from dlx.errors import ComponentError, UsageError
from dlx.registry import sources

FORMS = {"voc_boxes": made.voc, "yolo_boxes": made.yolo}


def source(folder, name, **choices):
    given = {"image_size": [18, 24], "batch_size": 4}
    return build(folder, folder.parent / "cache", name, **(given | choices))


def coco_source(file, **choices):
    given = {"train": str(file), "image_size": [18, 24], "batch_size": 4, "cache": str(file.parent.parent / "cache")}
    return sources.build("coco_boxes", given | choices, {"seed": 0})


def written(found, split):
    """List the boxes of a split, each with its class's name."""
    listed = []
    for batch in found.evaluate(None, split):
        for box, label in zip(batch["box"], batch["box_label"], strict=True):
            there = label >= 0
            names = [found.facts["class_names"][code] for code in label[there].tolist()]
            listed += [(name, tuple(corners)) for name, corners in zip(names, box[there].tolist(), strict=True)]
    return listed


def squares(numbers):
    return [(kind, tuple(map(float, box))) for kind, box in map(made.square, numbers)]


@pytest.mark.parametrize("name", FORMS)
def test_boxes_and_classes_are_read_as_they_were_written(name, tmp_path):
    found = source(FORMS[name](tmp_path / "data"), name)
    assert found.facts["class_names"] == ["cat", "dog"]
    for split, numbers in (("train", range(9)), ("val", range(9, 12)), ("test", range(12, 16))):
        for (kind, box), (wanted, corners) in zip(written(found, split), squares(numbers), strict=True):
            assert kind == wanted
            assert box == pytest.approx(corners, abs=1e-4)
    assert found.facts["class_counts"] == [5, 4]
    batch = next(iter(found.evaluate(None, "test")))
    assert batch["size"].tolist() == [[24, 18]] * 4
    assert batch["place"].tolist() == [[0, 0, 24, 18]] * 4
    assert "crowd" not in batch


def test_boxes_of_coco_are_read_and_splits_are_drawn(tmp_path):
    (tmp_path / "data").mkdir()
    file = made.coco(tmp_path / "data")
    found = coco_source(file, val=0.25, test=0.25)
    everything = [one for split in ("train", "val", "test") for one in written(found, split)]
    assert sorted(everything) == sorted(squares(range(12)))
    assert {split: len(written(found, split)) for split in found.splits()} == {"train": 6, "val": 3, "test": 3}
    assert found.drawn == {"val", "test"}


def test_crowds_of_coco_come_with_a_word_of_their_own(tmp_path):
    (tmp_path / "data").mkdir()
    file = made.coco(tmp_path / "data")
    content = json.loads(file.read_text())
    content["annotations"][3]["iscrowd"] = 1
    file.write_text(json.dumps(content))
    found = coco_source(file, val=0.0, test=0.0)
    crowds = torch.cat([batch["crowd"].flatten() for batch in found.evaluate(None, "train")])
    assert crowds.tolist() == [number == 3 for number in range(12)]


@pytest.mark.parametrize("resize", ["squash", "pad", "crop"])
def test_boxes_lie_where_their_squares_are_whatever_the_size(resize, tmp_path):
    root = made.voc(tmp_path / "data")
    found = source(root, "voc_boxes", image_size=[40, 40], resize=resize)
    for batch in found.evaluate(None, "train"):
        images = batch["input"] * torch.tensor(found.facts["channel_std"]).view(-1, 1, 1)
        images = (images + torch.tensor(found.facts["channel_mean"]).view(-1, 1, 1)).amax(1)
        for image, own, labels in zip(images, batch["box"], batch["box_label"], strict=True):
            rows, columns = (image > 0.45).nonzero().unbind(1)
            drawn = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
            if labels[0] >= 0:
                assert max(abs(a - b) for a, b in zip(own[0].tolist(), drawn, strict=True)) <= 1.5


def test_a_stored_margin_moves_boxes_and_places(tmp_path):
    root = made.voc(tmp_path / "data")
    whole = next(iter(source(root, "voc_boxes", image_size=[36, 48]).evaluate(None, "val")))
    part = next(iter(source(root, "voc_boxes", image_size=[30, 40], cache_size=[36, 48]).evaluate(None, "val")))
    assert part["place"].tolist() == [[-4, -3, 48, 36]] * 3
    assert torch.equal(part["input"], whole["input"][:, :, 3:33, 4:44])
    moved = whole["box"] - torch.tensor([4.0, 3, 4, 3])
    limit = torch.tensor([40.0, 30, 40, 30])
    assert torch.equal(part["box"], torch.minimum(moved.clamp(min=0), limit))


def test_images_without_boxes_may_be_in_a_batch_or_all_of_it(tmp_path):
    root = made.yolo(tmp_path / "data")
    for number in (9, 10, 11):
        (root / "labels/val" / f"{number:03}.txt").write_text("")
    (root / "labels/test/012.txt").unlink()
    found = source(root, "yolo_boxes", missing="empty")
    batch = next(iter(found.evaluate(None, "val")))
    assert batch["box"].shape == (3, 0, 4)
    assert batch["box_label"].shape == (3, 0)
    assert next(iter(found.evaluate(None, "test")))["box_label"][:, 0].tolist()[0] == -1


def test_faults_of_voc_are_told_together_with_file_and_line(tmp_path, caplog):
    root = made.voc(tmp_path / "data")
    place = root / "Annotations"
    (place / "000.xml").write_text(made.xml("000", [("cat", (1, 1, 5, 5), 0), ("dog", (7, 7, 7, 7), 0)]))
    (place / "001.xml").write_text(made.xml("001", [("dog", (1, 1, 50, 5), 0)]))
    (place / "009.xml").write_text(made.xml("009", [("fish", (1, 1, 5, 5), 0)]))
    (place / "010.xml").write_text(made.xml("010", [("cat", (1, 1, 5, 5), 0)], (18, 24)))
    (place / "011.xml").unlink()
    (root / "JPEGImages/002.png").unlink()
    (root / "JPEGImages/003.png").write_bytes(b"no image")
    (place / "004.xml").write_text("<annotation>")
    with pytest.raises(ComponentError, match="on_bad: skip") as caught:
        source(root, "voc_boxes")
    told = str(caught.value)
    assert f"{place}/000.xml:9: box of no area: 7, 7, 7, 7" in told
    assert f"{place}/001.xml:4: box outside its image: 0, 0, 50, 5 in 24x18" in told
    assert f"{place}/009.xml:4: box of unknown class: 'fish' is none of cat, dog" in told
    assert f"{place}/010.xml:3: image of another size: it says 18x24, but 010.png has 24x18 once it is upright" in told
    assert f"011.png: image without an annotation: {place}/011.xml is not there" in told
    assert f"{root}/ImageSets/Main/train.txt:3: annotation without an image: 002" in told
    assert "003.png: image unreadable" in told
    assert f"{place}/004.xml: annotation unreadable" in told
    assert told.startswith("8 faults in 14 images and their annotations (")
    with caplog.at_level(logging.WARNING, "dlx"):
        found = source(root, "voc_boxes", on_bad="skip")
    assert "skipped: 8 faults" in caplog.text
    assert {split: len(found.data[split]["input"]) for split in found.splits()} == {"train": 7, "val": 1, "test": 4}
    assert written(found, "train")[0] == ("cat", (0, 0, 5, 5))


def test_faults_of_yolo_are_told_with_file_and_line(tmp_path):
    root = made.yolo(tmp_path / "data")
    (root / "labels/train/000.txt").write_text("0 0.5 0.5 0.2 0.2\n2 0.5 0.5 0.2 0.2\n\n0 0.5 0.5 0.2\n1 x 0.5 0.1 0.1\n")
    (root / "labels/train/001.txt").write_text("1 0.5 0.5 0 0.2\n1 0.9 0.5 0.4 0.2\n0 nan 0.5 0.4 0.2")
    (root / "labels/train/002.txt").unlink()
    (root / "images/val/009.png").unlink()
    with pytest.raises(ComponentError, match="8 faults in 14 images") as caught:
        source(root, "yolo_boxes")
    told, labels = str(caught.value), root / "labels"
    assert f"{labels}/train/000.txt:2: box of unknown class: 2, but the 2 classes are counted from 0" in told
    assert f"{labels}/train/000.txt:4: box that is no numbers: it has 4 parts" in told
    assert f"{labels}/train/000.txt:5: box that is no numbers: 1 x 0.5" in told
    assert f"{labels}/train/001.txt:1: box of no area" in told
    assert f"{labels}/train/001.txt:2: box outside its image" in told
    assert f"{labels}/train/001.txt:3: box that is no numbers" in told
    assert f"{root}/images/train/002.png: image without an annotation" in told
    assert f"{labels}/val/009.txt: annotation without an image" in told


def test_faults_of_coco_are_told_with_the_annotation(tmp_path):
    (tmp_path / "data").mkdir()
    file = made.coco(tmp_path / "data")
    content = json.loads(file.read_text())
    for number, change in enumerate(({"bbox": [1, 1, 0, 4]}, {"category_id": 4}, {"image_id": 99}, {"bbox": [1, 2, None, 3]})):
        content["annotations"][number] |= change
    content["images"][5]["width"] = 25
    content["images"][6]["file_name"] = "../data/006.png"
    (tmp_path / "data/007.png").unlink()
    file.write_text(json.dumps(content))
    with pytest.raises(ComponentError, match="7 faults in 11 images") as caught:
        coco_source(file)
    told = str(caught.value)
    assert f"{file}: annotation 0: box of no area" in told
    assert f"{file}: annotation 1: box of unknown class: 'category 4' is none of cat, dog" in told
    assert f"{file}: annotation 2: box without an image: image 99" in told
    assert f"{file}: annotation 3: box that is no numbers" in told
    assert f"{file}: image 10: image of another size: it says 25x18" in told
    assert f"{file}: image 11: image of no file name that is used: '../data/006.png'" in told
    assert "007.png: image cannot be read" in told


def test_the_size_of_an_annotation_is_that_of_the_upright_image(tmp_path):
    root = made.voc(tmp_path / "data")
    exif = Image.Exif()
    exif[0x0112] = 6
    Image.new("RGB", (18, 24)).save(root / "JPEGImages/000.png", exif=exif)
    assert written(source(root, "voc_boxes"), "train")[0] == squares([0])[0]
    Image.new("RGB", made.SIZE).save(root / "JPEGImages/000.png", exif=exif)
    with pytest.raises(ComponentError, match=r"it says 24x18, but 000\.png has 18x24 once it is upright"):
        source(root, "voc_boxes")


def test_hard_ones_may_be_left_out_and_classes_listed(tmp_path):
    root = made.voc(tmp_path / "data")
    things = [("cat", (1, 1, 5, 5), 1), ("dog", (2, 2, 9, 9), 0)]
    (root / "Annotations/000.xml").write_text(made.xml("000", things))
    assert len(written(source(root, "voc_boxes"), "train")) == 10
    found = source(root, "voc_boxes", difficult=False, class_names=["dog", "bird", "cat"])
    assert written(found, "train")[0] == ("dog", (1, 1, 9, 9))
    assert found.facts["class_counts"] == [5, 0, 4]
    with pytest.raises(ComponentError, match="of unknown class: 'cat' is none of dog"):
        source(root, "voc_boxes", class_names=["dog"])


def test_what_does_not_fit_is_told(tmp_path):
    root = made.voc(tmp_path / "data")
    with pytest.raises(ComponentError, match="mixes classes"):
        source(root, "voc_boxes", augment=["mixup"])
    with pytest.raises(ComponentError, match="the task answers with one class an image, but the data gives boxes; its task"):
        source(root, "voc_boxes", facts={"task_target": "class"})
    other = build(made.masks(tmp_path / "masks"), tmp_path / "cache", "image_masks", class_names=["a", "b", "c"])
    with pytest.raises(UsageError, match="processor is 'image_masks', but the data wants 'image_boxes'"):
        source(root, "voc_boxes", facts={"processor": other.processor})
    with pytest.raises(ComponentError, match="no such folder; VOC keeps"):
        source(tmp_path / "masks", "voc_boxes")
    with pytest.raises(ComponentError, match="give class_names, in the order of their numbers"):
        source(root, "yolo_boxes")


def test_a_checkpoint_needs_only_the_split_that_is_asked_for(tmp_path):
    root = made.voc(tmp_path / "data")
    first = source(root, "voc_boxes")
    for number in range(12):
        (root / "JPEGImages" / f"{number:03}.png").unlink()
    names = root / "ImageSets/Main/train.txt"
    for split in ("train", "val"):
        names.with_name(f"{split}.txt").write_text("")
    facts = {"processor": first.processor, "wanted_splits": frozenset({"test"})}
    again = source(root, "voc_boxes", facts=facts)
    assert again.splits() == ["test"]
    assert again.digests["test"] == first.digests["test"]
    assert written(again, "test") == written(first, "test")


def test_digests_tell_other_boxes(tmp_path):
    root = made.voc(tmp_path / "data")
    before = source(root, "voc_boxes").digests
    place = root / "Annotations/012.xml"
    place.write_text(made.xml("012", [("cat", (1, 1, 6, 5), 0)]))
    after = source(root, "voc_boxes").digests
    assert before["train"] == after["train"]
    assert before["test"] != after["test"]
    assert np.array([len(value) for value in after.values()]).tolist() == [64] * 3
