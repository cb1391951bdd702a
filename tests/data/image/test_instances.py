import json

import numpy as np
import pytest
import torch
from pycocotools import mask as oracle
from tests.helpers import annotated_files as made

from dlx.data.image.instances import shape_of
from dlx.errors import ComponentError
from dlx.processors.image import run_lengths
from dlx.registry import sources

# pycocotools 2.0 has not heard of numpy 2 yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


def scenes(**choices):
    given = {"targets": "instances", "train": 12, "val": 4, "test": 4, "image_size": 64, "batch_size": 4}
    wanted = {name: parameter.default for name, parameter in sources.signatures["digit_scenes"].choices.items()}
    return sources.build("digit_scenes", wanted | given | choices, {"seed": 0})


def drawn_boxes(masks):
    """Find the boxes of masks `(M, H, W)`."""
    found = []
    for mask in masks:
        rows, columns = mask.nonzero().unbind(1)
        found.append([columns.min(), rows.min(), columns.max() + 1, rows.max() + 1])
    return torch.tensor(found, dtype=torch.float32)


@pytest.mark.parametrize("augment", [None, ["horizontal_flip", "vertical_flip"]])
def test_each_box_has_its_own_mask(augment):
    assert "digit_scenes" in sources
    found = scenes(augment=augment)
    for batch in [*found.train(None), *found.evaluate(None, "test")]:
        assert batch["mask"].dtype == torch.bool
        assert batch["mask"].shape == (*batch["box_label"].shape, 64, 64)
        for masks, box, labels in zip(batch["mask"], batch["box"], batch["box_label"], strict=True):
            there = labels >= 0
            assert torch.equal(drawn_boxes(masks[there]), box[there])
            assert not masks[~there].any()


def test_masks_of_a_mosaic_lie_in_their_boxes():
    found = scenes(augment=[{"mosaic": {"probability": 1.0}}])
    for batch in found.train(None):
        for masks, box, labels in zip(batch["mask"], batch["box"], batch["box_label"], strict=True):
            for mask, (left, top, right, bottom), label in zip(masks, box.round().int().tolist(), labels, strict=True):
                inside = mask[max(0, top - 1) : bottom + 1, max(0, left - 1) : right + 1]
                assert label < 0 or (inside.sum() == mask.sum() > 0)


def segmented(folder):
    """Write COCO's file with a shape of every form: polygons, run lengths, and packed ones."""
    folder.mkdir()
    file = made.coco(folder)
    content = json.loads(file.read_text())
    for one in content["annotations"]:
        left, top, width, height = one["bbox"]
        right, bottom = left + width, top + height
        mask = np.zeros((18, 24), np.uint8)
        mask[top:bottom, left:right] = 1
        packed = oracle.encode(np.asfortranarray(mask))["counts"].decode()
        one["segmentation"] = (
            [[left, top, right, top, right, bottom, left, bottom]],
            {"size": [18, 24], "counts": run_lengths.encode(mask > 0)},
            {"size": [18, 24], "counts": packed},
        )[one["id"] % 3]
    file.write_text(json.dumps(content))
    return file, content


def coco(file, **choices):
    given = {"train": str(file), "image_size": [18, 24], "batch_size": 4, "masks": True, "val": 0.0, "test": 0.0}
    return sources.build("coco_boxes", given | {"cache": str(file.parent.parent / "cache")} | choices, {"seed": 0})


@pytest.mark.parametrize("choices", [{}, {"augment": ["horizontal_flip"]}, {"image_size": [36, 48]}])
def test_shapes_of_coco_are_drawn_where_their_boxes_are(choices, tmp_path):
    file, _ = segmented(tmp_path / "data")
    found, seen = coco(file, **choices), 0
    for batch in found.train(None):
        for masks, box in zip(batch["mask"], batch["box"], strict=True):
            assert torch.equal(drawn_boxes(masks), box)
            seen += 1
    assert seen == 12


def test_polygons_are_drawn_as_coco_draws_them():
    polygons = [[1.5, 2, 17.2, 3.4, 12, 14.6, 3, 11], [20, 1, 22, 1, 21, 8.5]]
    wanted = oracle.decode(oracle.merge(oracle.frPyObjects(polygons, 18, 24)))
    assert np.array_equal(shape_of(polygons, 18, 24).draw(), wanted)


def test_shapes_that_cannot_be_used_are_told(tmp_path):
    file, content = segmented(tmp_path / "data")
    wrong = (
        [[1, 2, 3, 4]],
        {"size": [24, 18], "counts": []},
        {"size": [18, 24], "counts": [5]},
        None,
        [[1, 2, 3, 4, 5, "6"]],
        {},
    )
    for one, shape in zip(content["annotations"], wrong, strict=False):
        one["segmentation"] = shape
    file.write_text(json.dumps(content))
    with pytest.raises(
        ComponentError, match=r"6 faults in 12 images and their annotations \(6 that cannot be used\)"
    ) as caught:
        coco(file)
    assert f"{file}: annotation 0: segmentation that cannot be used: a polygon has no three corners" in str(caught.value)
    assert "annotation 2: segmentation that cannot be used: its run lengths do not fill 24x18 pixels" in str(caught.value)
    assert len(coco(file, on_bad="skip").data["train"]["input"]) == 12
    with pytest.raises(ComponentError, match="the data gives instances; its task is instance_segmentation"):
        sources.build(
            "coco_boxes",
            {"train": str(file), "image_size": 18, "batch_size": 4, "masks": True},
            {"seed": 0, "task_target": "class"},
        )
