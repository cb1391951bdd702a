"""Pascal VOC and Cityscapes, in small files laid out as theirs are."""

import pytest
from tests.helpers import annotated_files
from torchvision.datasets import Cityscapes, VOCDetection, VOCSegmentation

from dlx import registry
from dlx.data.image.torchvision_voc import CLASSES
from dlx.errors import ComponentError
from dlx.testing.common import build

SIZE = [18, 24]


def made(name, path, **choices):
    return build(registry.sources, name, {"path": str(path), "image_size": SIZE, "batch_size": 20, **choices}, {"seed": 0})


def only(source, split):
    (batch,) = source.evaluate(None, split)
    return batch


def test_boxes_are_those_that_torchvision_reads(tmp_path):
    annotated_files.voc(tmp_path / "VOCdevkit/VOC2012", ending=".jpg")
    source = made("voc_detection", tmp_path)
    assert source.facts["class_names"] == CLASSES
    for split, count in (("train", 9), ("val", 3)):
        batch, reference = only(source, split), VOCDetection(str(tmp_path), image_set=split)
        assert len(batch["input"]) == len(reference) == count
        for row, (_, target) in enumerate(reference):
            (thing,) = target["annotation"]["object"]
            corners = [int(thing["bndbox"][key]) for key in ("xmin", "ymin", "xmax", "ymax")]
            assert batch["box"][row, 0].tolist() == [corners[0] - 1, corners[1] - 1, *corners[2:]]
            assert CLASSES[batch["box_label"][row, 0]] == thing["name"]


def test_masks_of_voc_have_its_numbers_and_no_borders(tmp_path):
    annotated_files.voc_masks(tmp_path)
    source = made("voc_segmentation", tmp_path)
    assert source.facts["num_classes"] == 21
    batch, reference = only(source, "val"), VOCSegmentation(str(tmp_path), image_set="val")
    for target, (_, mask) in zip(batch["target"], reference, strict=True):
        values = [255 if value < 0 else value for value in target.flatten().tolist()]
        assert values == list(mask.get_flattened_data())
    assert set(batch["target"].flatten().tolist()) == {-1, 0, 8, 12}


def test_masks_of_cityscapes_have_the_classes_of_its_benchmark(tmp_path):
    annotated_files.cityscapes(tmp_path)
    source = made("cityscapes", tmp_path)
    assert source.facts["num_classes"] == 19
    names = source.facts["class_names"]
    train_ids = {one.name: one.train_id for one in Cityscapes.classes if not one.ignore_in_eval}
    assert names == sorted(train_ids, key=train_ids.get)
    batch = only(source, "val")
    assert len(batch["target"]) == 3
    assert {names[code] if code >= 0 else None for code in batch["target"].unique().tolist()} == {None, "road", "car", "person"}


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("voc_detection", "no VOC2012 in .*download: true fetches it"),
        ("voc_segmentation", "no VOC2012 in .*download: true fetches it"),
        ("cityscapes", "no Cityscapes in .*leftImg8bit.*is not there; unpack its archives"),
    ],
)
def test_what_is_missing_is_told_with_what_brings_it(name, told, tmp_path):
    with pytest.raises(ComponentError, match=told):
        made(name, tmp_path)
