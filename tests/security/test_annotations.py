"""Annotations of others: they may be anything, and end in one message."""

import json

import pytest
from tests.helpers import annotated_files as made
from tests.helpers.image_files import build

from dlx.data.image import coco_boxes, voc_boxes, yolo_boxes
from dlx.errors import ComponentError
from dlx.registry import sources

BOMB = '<!DOCTYPE a [<!ENTITY a "aaaaaaaaaa">' + "".join(
    f'<!ENTITY {"abcdefgh"[n]} "{("&" + "abcdefgh"[n - 1] + ";") * 10}">' for n in range(1, 8)
) + "]><annotation><object><name>&h;</name></object></annotation>"  # fmt: skip
OUTSIDE = '<!DOCTYPE a [<!ENTITY a SYSTEM "file:///etc/passwd">]><annotation><object><name>&a;</name></object></annotation>'


@pytest.mark.parametrize("content", [BOMB, OUTSIDE, "", "\0", "<a>" * 5000, "<annotation/>\xff"])
def test_xml_that_does_harm_is_a_fault(content, tmp_path):
    root = made.voc(tmp_path / "data")
    (root / "Annotations/000.xml").write_text(content, encoding="latin-1")
    found = voc_boxes.read(str(root), 1, True, "report")
    assert [fault.kind for fault in found.faults] == ["unreadable"]


@pytest.mark.parametrize("corner", ["nan", "1e999", "-inf", "x", "", "1" * 400])
def test_corners_that_are_no_numbers_are_faults(corner, tmp_path):
    root = made.voc(tmp_path / "data")
    (root / "Annotations/000.xml").write_text(made.xml("000", [("cat", (1, 1, corner, 5), 0)]))
    with pytest.raises(ComponentError, match=r"Annotations/000\.xml:4: box (that is no numbers|of no area|outside its image)"):
        build(root, tmp_path / "cache", "voc_boxes", image_size=[18, 24])


def test_files_larger_than_an_annotation_are_not_read(tmp_path, monkeypatch):
    monkeypatch.setattr(voc_boxes, "FILE_BYTES", 100)
    root = made.voc(tmp_path / "data")
    found = voc_boxes.read(str(root), 1, True, "report")
    assert len(found.faults) == 16
    assert "larger than 100 bytes" in str(found.faults[0])


def changed(folder, change):
    folder.mkdir()
    file = made.coco(folder)
    content = json.loads(file.read_text())
    change(content)
    file.write_text(json.dumps(content))
    return str(file)


@pytest.mark.parametrize(
    "change",
    [
        lambda content: content["annotations"][0].update(bbox=[1, 2, 10**400, 3]),
        lambda content: content["annotations"][0].update(bbox=[1, 2, float("nan"), 3]),
        lambda content: content["annotations"][0].update(bbox={"x": 1}),
        lambda content: content["annotations"][0].update(category_id=[1]),
        lambda content: content["annotations"][0].update(image_id={}),
        lambda content: content["images"][0].update(id=[]),
        lambda content: content["images"][0].update(file_name="/etc/passwd"),
        lambda content: content["images"][0].update(file_name="../" * 9 + "etc/passwd"),
        lambda content: content["images"][0].update(file_name=7),
        lambda content: content["images"].append(content["images"][0]),
        lambda content: content["categories"].append({"id": "x", "name": "fish"}),
        lambda content: content["categories"].append({"id": 8, "name": "cat"}),
        lambda content: content.update(categories={}),
        lambda content: content.update(annotations=[1]),
    ],
)
def test_json_of_another_kind_is_one_message(change, tmp_path):
    file = changed(tmp_path / "data", change)
    with pytest.raises(ComponentError) as caught:
        sources.build(
            "coco_boxes", {"train": file, "image_size": [18, 24], "cache": str(tmp_path), "batch_size": 4}, {"seed": 0}
        )
    assert file in str(caught.value)


@pytest.mark.parametrize("content", ["[", "[" * 100_000, "null", "[]", "{}", "\0"])
def test_files_that_are_no_coco_json_are_one_message(content, tmp_path):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(ComponentError, match=r"a\.json"):
        coco_boxes.read({"train": str(tmp_path / "a.json")}, None)


@pytest.mark.parametrize(
    "content",
    ["names: [" + ", ".join(["&a [x, x]", *["*a"] * 9]) + "]", "names: {0: a, 2: b}", "[", "7", "names: &a [*a]", "- " * 2000],
)
def test_class_lists_that_are_none_are_one_message(content, tmp_path):
    (tmp_path / "data.yaml").write_text(content)
    with pytest.raises(ComponentError, match=r"data\.yaml"):
        yolo_boxes.class_list(str(tmp_path))
