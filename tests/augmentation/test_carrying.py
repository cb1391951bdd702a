"""Boxes and masks follow what is drawn on the images: exactly under flips and whole-pixel crops, else within a pixel."""

import pytest
import torch

from dlx.augmentation.carrying import Boxes, Masks, identity, inverse, straight
from dlx.augmentation.pipeline import Pipeline
from dlx.errors import ComponentError

SIZE, VOID = 48, 255
FACTS = {"input_shape": [3, SIZE, SIZE], "channel_mean": [0.0] * 3, "num_classes": 2}
EXACT = ["horizontal_flip", "vertical_flip", {"random_crop": {"padding": 6, "mode": "zeros"}}]
NEAR = [{"rotate": 15}, {"random_resized_crop": {"scale": [0.5, 1.0]}}, "rand_augment", "mosaic"]
STILL = ["color_jitter", "grayscale", "gaussian_blur", {"cutout": 6}, {"random_erasing": {"fill": "noise"}}]


def squares(count=64, size=SIZE, seed=1):
    """Draw a white square on black, with its mask and its box."""
    draw = torch.Generator().manual_seed(seed)
    side = torch.randint(9, 16, (count, 2), generator=draw)
    corner = (torch.rand(count, 2, generator=draw) * (size - side + 1)).long()
    box = torch.cat([corner, corner + side], 1)
    images, masks = torch.zeros(count, 3, size, size, dtype=torch.uint8), torch.zeros(count, 1, size, size, dtype=torch.uint8)
    for image, mask, (left, top, right, bottom) in zip(images, masks, box.tolist(), strict=True):
        image[:, top:bottom, left:right] = 255
        mask[:, top:bottom, left:right] = 1
    label = torch.arange(count)[:, None] % 2
    return images, {"mask": Masks(masks, VOID), "box": Boxes(box[:, None].float(), label, torch.zeros(count, 1).bool())}


def run(item, seed=0, count=64):
    images, carried = squares(count)
    pipeline = Pipeline([item] if not isinstance(item, list) else item, FACTS, carries=True)
    return images, *pipeline.move(images, carried, torch.Generator().manual_seed(seed))


def drawn_box(image):
    rows, columns = (image[0] > 127).nonzero().unbind(1)
    return [columns.min().item(), rows.min().item(), columns.max().item() + 1, rows.max().item() + 1]


@pytest.mark.parametrize("item", EXACT, ids=str)
def test_masks_and_boxes_follow_exactly(item):
    before, images, carried = run(item)
    assert not torch.equal(before, images)
    white, mask = images[:, :1] > 0, carried["mask"].values
    assert torch.equal(white, mask == 1)
    if "random_crop" in item:
        assert (mask == VOID).any()  # a border of zeros is no background
    for image, box in zip(images, carried["box"].box[:, 0].tolist(), strict=True):
        assert box == drawn_box(image) or box[0] == -1


@pytest.mark.parametrize("item", NEAR, ids=str)
def test_masks_and_boxes_follow_within_a_pixel(item):
    far, seen = 0, 0
    for seed in range(4):
        _, images, carried = run(item, seed)
        box, mask = carried["box"], carried["mask"].values
        for image, own, labels in zip(images, box.box, box.label, strict=True):
            if item == "mosaic" or (labels < 0).any():
                continue
            seen += 1
            if (image > 200).any():
                error = max(abs(a - b) for a, b in zip(own[0].tolist(), drawn_box(image), strict=True))
                far += error > 1.5
        certain = (images[:, :1] > 250) | (images[:, :1] < 5)
        if item != "rand_augment":  # colours change there
            agreement = ((images[:, :1] > 127) == (mask == 1))[certain & (mask != VOID)].float().mean()
            assert agreement > 0.995
    assert far <= 0.02 * seen + (item == "rand_augment") * seen


@pytest.mark.parametrize("item", STILL, ids=str)
def test_what_changes_colors_leaves_them_alone(item):
    _, before = squares()
    _, _, carried = run(item)
    assert torch.equal(before["mask"].values, carried["mask"].values)
    assert torch.equal(before["box"].box, carried["box"].box)


def test_a_mosaic_holds_the_boxes_of_four_images():
    images, _ = squares()
    _, changed, carried = run({"mosaic": {"probability": 1.0}})
    boxes = carried["box"].trimmed(carried["box"].order())
    assert boxes.box.shape[1] in (3, 4)
    assert not torch.equal(images, changed)
    for image, own, labels in zip(changed, boxes.box, boxes.label, strict=True):
        for (left, top, right, bottom), label in zip(own.round().int().tolist(), labels.tolist(), strict=True):
            if label >= 0 and right - left > 2 and bottom - top > 2:
                assert (image[0, top + 1 : bottom - 1, left + 1 : right - 1] > 120).float().mean() > 0.9
    covered = (carried["mask"].values == VOID).float().mean()
    assert covered < 0.002


def test_an_image_that_stays_out_of_a_mosaic_stays_as_it_is():
    images, changed, carried = run({"mosaic": {"probability": 0.0}})
    _, before = squares()
    assert torch.equal(images, changed)
    assert torch.equal(before["mask"].values, carried["mask"].values)
    kept = carried["box"].trimmed(carried["box"].order())
    assert torch.equal(before["box"].box, kept.box)
    assert torch.equal(before["box"].label, kept.label)


@pytest.mark.parametrize("item", [*EXACT, *NEAR, *STILL], ids=str)
def test_pixels_are_those_that_come_without_anything_on_them(item):
    if item == "mosaic":
        return
    images, changed, _ = run(item)
    alone = Pipeline([item], FACTS).change(images, torch.Generator().manual_seed(0))
    assert torch.equal(alone, changed)


def test_boxes_of_which_too_little_is_left_go_and_the_others_move_up():
    box = torch.tensor([[[0.0, 0, 10, 10], [20, 20, 40, 40], [-1, -1, -1, -1]], [[-1.0] * 4] * 3])
    boxes = Boxes(box, torch.tensor([[1, 2, -1], [-1, -1, -1]]), torch.zeros(2, 3).bool())
    cut = boxes.move(straight(1.0, 9.0, 1.0, 0.0, 2), (30, 30))
    assert cut.label.tolist() == [[-1, 2, -1], [-1, -1, -1]]
    order = cut.order()
    kept = cut.trimmed(order)
    assert kept.label.tolist() == [[2], [-1]]
    assert kept.box.tolist() == [[[11, 20, 30, 30]], [[-1] * 4]]
    none = cut.move(straight(1.0, 100.0, 1.0, 0.0, 2), (30, 30))
    assert none.trimmed(none.order()).box.shape == (2, 0, 4)
    assert none.trimmed(none.order()).move(identity(2), (30, 30)).box.shape == (2, 0, 4)


def test_inverse_leads_back():
    matrices = torch.tensor([[[0.5, -0.2, 3.0], [0.1, 2.0, -7.0]]])
    point = torch.tensor([3.0, 4.0], dtype=torch.float64)
    there = matrices.double()[0, :, :2] @ point + matrices.double()[0, :, 2]
    back = inverse(matrices)[0]
    assert torch.allclose(back[:, :2] @ there + back[:, 2], point, atol=1e-6)


@pytest.mark.parametrize("item", ["mixup", "cutmix"])
def test_what_mixes_classes_is_refused(item):
    with pytest.raises(ComponentError, match="mixes classes"):
        Pipeline([item], FACTS, carries=True)
    with pytest.raises(ComponentError, match="puts boxes or masks together"):
        Pipeline(["mosaic"], FACTS)
