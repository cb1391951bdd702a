"""Data sets of boxes and masks in the forms that tools write, for tests: each image has one square of a class's colour."""

import json

import numpy as np
from PIL import Image

COLORS = {"cat": (200, 30, 30), "dog": (30, 200, 30)}
CLASSES = list(COLORS)
SIZE = (24, 18)  # width and height


def square(number):
    """Tell the class and the corners of an image's square."""
    draw = np.random.default_rng(number)
    left, top, side = int(draw.integers(0, 12)), int(draw.integers(0, 8)), int(draw.integers(6, 10))
    return CLASSES[number % 2], (left, top, left + side, top + side)


def draw(file, number, size=SIZE):
    """Write an image with its square."""
    kind, (left, top, right, bottom) = square(number)
    pixels = np.random.default_rng(number).integers(0, 30, (size[1], size[0], 3), dtype=np.uint8)
    pixels[top:bottom, left:right] = COLORS[kind]
    file.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels).save(file)


def xml(name, things, size=SIZE):
    """Write an annotation as Pascal VOC does, corners counted from 1 and within the box."""
    objects = "".join(
        f"\n  <object>\n    <name>{kind}</name>\n    <difficult>{hard}</difficult>\n    <bndbox><xmin>{box[0]}</xmin>"
        f"<ymin>{box[1]}</ymin><xmax>{box[2]}</xmax><ymax>{box[3]}</ymax></bndbox>\n  </object>"
        for kind, box, hard in things
    )
    sides = f"<width>{size[0]}</width><height>{size[1]}</height><depth>3</depth>"
    return f"<annotation>\n  <filename>{name}</filename>\n  <size>{sides}</size>{objects}\n</annotation>\n"


def voc(root, counts=(9, 3, 4), ending=".png"):
    """Write a data set as Pascal VOC does."""
    for folder in ("JPEGImages", "Annotations", "ImageSets/Main"):
        (root / folder).mkdir(parents=True)
    number = 0
    for split, count in zip(("train", "val", "test"), counts, strict=True):
        for _ in range(count):
            kind, (left, top, right, bottom) = square(number)
            draw(root / "JPEGImages" / f"{number:03}{ending}", number)
            content = xml(f"{number:03}{ending}", [(kind, (left + 1, top + 1, right, bottom), 0)])
            (root / "Annotations" / f"{number:03}.xml").write_text(content)
            with (root / "ImageSets/Main" / f"{split}.txt").open("a") as file:
                file.write(f"{number:03}\n")
            number += 1
    return root


def yolo(root, counts=(9, 3, 4)):
    """Write a data set as YOLO does."""
    number = 0
    for split, count in zip(("train", "val", "test"), counts, strict=True):
        (root / "labels" / split).mkdir(parents=True)
        for _ in range(count):
            kind, (left, top, right, bottom) = square(number)
            draw(root / "images" / split / f"{number:03}.png", number)
            parts = (
                (left + right) / 2 / SIZE[0],
                (top + bottom) / 2 / SIZE[1],
                (right - left) / SIZE[0],
                (bottom - top) / SIZE[1],
            )
            line = " ".join([str(CLASSES.index(kind)), *map(str, parts)])
            (root / "labels" / split / f"{number:03}.txt").write_text(line + "\n")
            number += 1
    (root / "data.yaml").write_text("names: {0: cat, 1: dog}\n")
    return root


def coco(root, count=12, first=0, name="instances_train.json"):
    """Write a file of COCO's, and its images beside it."""
    images, annotations = [], []
    for number in range(first, first + count):
        kind, (left, top, right, bottom) = square(number)
        draw(root / f"{number:03}.png", number)
        images.append({"id": number + 5, "file_name": f"{number:03}.png", "width": SIZE[0], "height": SIZE[1]})
        bbox, category = [left, top, right - left, bottom - top], 3 if kind == "cat" else 7
        annotations.append({"id": number, "image_id": number + 5, "category_id": category, "bbox": bbox, "iscrowd": 0})
    categories = [{"id": 7, "name": "dog"}, {"id": 3, "name": "cat"}]
    (root / name).write_text(json.dumps({"images": images, "annotations": annotations, "categories": categories}))
    return root / name


def masks(root, counts=(9, 3, 4)):
    """Write images and masks in folders side by side: 0 around, 1 and 2 on squares, 255 on the last line."""
    number = 0
    for split, count in zip(("train", "val", "test"), counts, strict=True):
        (root / "masks" / split).mkdir(parents=True)
        for _ in range(count):
            draw(root / "images" / split / f"{number:03}.png", number)
            Image.fromarray(mask(number)).save(root / "masks" / split / f"{number:03}.png")
            number += 1
    return root


def mask(number):
    """Make the mask of an image's square."""
    kind, (left, top, right, bottom) = square(number)
    pixels = np.zeros((SIZE[1], SIZE[0]), np.uint8)
    pixels[top:bottom, left:right] = 1 + CLASSES.index(kind)
    pixels[-1] = 255
    return pixels


def voc_masks(root, counts=(9, 3)):
    """Write masks as Pascal VOC does: palettes, with a line of 255 beneath each square."""
    top = root / "VOCdevkit/VOC2012"
    for folder in ("SegmentationClass", "ImageSets/Segmentation"):
        (top / folder).mkdir(parents=True)
    for number in range(sum(counts)):
        draw(top / f"JPEGImages/{number:03}.jpg", number)
        mask = Image.fromarray(painted(number, {"cat": 8, "dog": 12}, 0, 255))
        mask.putpalette([level for code in range(256) for level in (code, 255 - code, 7)])
        mask.save(top / f"SegmentationClass/{number:03}.png")
        with (top / f"ImageSets/Segmentation/{'train' if number < counts[0] else 'val'}.txt").open("a") as file:
            file.write(f"{number:03}\n")
    return root


def cityscapes(root, counts=(9, 3)):
    """Write images and masks as Cityscapes does: a car or a person on a road, with a strip of the car that films beneath."""
    for number in range(sum(counts)):
        split, town = ("train" if number < counts[0] else "val"), ("aachen", "bochum")[number % 2]
        draw(root / f"leftImg8bit/{split}/{town}/{town}_{number:06}_leftImg8bit.png", number)
        file = root / f"gtFine/{split}/{town}/{town}_{number:06}_gtFine_labelIds.png"
        file.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(painted(number, {"cat": 26, "dog": 24}, 7, 1)).save(file)
    return root


def painted(number, codes, around, beneath):
    """Paint the mask of an image's square; the row beneath it has a value of its own."""
    kind, (left, top, right, bottom) = square(number)
    mask = np.full((SIZE[1], SIZE[0]), around, np.uint8)
    mask[top:bottom, left:right] = codes[kind]
    mask[bottom : bottom + 1, left:right] = beneath
    return mask
