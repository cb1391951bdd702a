"""Pascal VOC as torchvision keeps it: photographs with boxes, or with a class a pixel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any, Literal

from dlx.core import Source
from dlx.data.image.annotated import VisionFacts
from dlx.data.image.box_assembly import assemble_boxes
from dlx.data.image.image_masks import MaskValues
from dlx.data.image.mask_assembly import assemble_masks
from dlx.data.image.mask_files import SPLITS, Pair, paired
from dlx.data.image.preparation import DrawnSplits, ImageOptions, preparation
from dlx.data.image.torchvision_common import construct
from dlx.data.image.voc_boxes import names_of, read
from dlx.data.options import Batching
from dlx.processors.image.boxes import BoxProcessor
from dlx.processors.image.masks import MaskProcessor
from dlx.registry import sources
from dlx.registry.types import Download, SomePath

Year = Literal["2007", "2008", "2009", "2010", "2011", "2012"]
CLASSES = [
    "aeroplane", "bicycle", "bird", "boat", "bottle", "bus", "car", "cat", "chair", "cow", "diningtable", "dog", "horse",
    "motorbike", "person", "pottedplant", "sheep", "sofa", "train", "tvmonitor",
]  # fmt: skip


@sources("voc_detection")
def voc_detection(
    seed: int,
    kept: VisionFacts,
    *,
    path: SomePath,
    year: Year = "2012",
    download: Download = False,
    difficult: bool = True,
    images: ImageOptions,
    batching: Batching,
) -> Source:
    """Photographs with boxes of 20 classes: Pascal VOC (Everingham et al. 2010).

    `path` is the folder that torchvision calls root; `download: true` fetches what is not there. Training and validation are
    VOC's own; a test split with annotations has 2007 alone. All else is as for voc_boxes.
    """
    from torchvision.datasets import VOCDetection

    kept.refuse_other("boxes")
    wanted = preparation(kept, images, BoxProcessor)
    found = read(_folder(VOCDetection, path, year, download), 1, difficult, "report")
    found.class_names = CLASSES
    return assemble_boxes(seed, found, wanted, DrawnSplits(), batching)


@sources("voc_segmentation")
def voc_segmentation(
    seed: int,
    kept: VisionFacts,
    *,
    path: SomePath,
    year: Year = "2012",
    download: Download = False,
    images: ImageOptions,
    batching: Batching,
) -> Source:
    """Photographs with a class a pixel, of the background and 20 others: Pascal VOC (Everingham et al. 2010).

    `path` is the folder that torchvision calls root; `download: true` fetches what is not there. Training and validation are
    VOC's own; a test split with masks has 2007 alone. The borders of objects count for nothing. All else is as for
    image_masks.
    """
    from torchvision.datasets import VOCSegmentation

    kept.refuse_other("masks")
    wanted = preparation(kept, images, MaskProcessor)
    values = MaskValues(class_names=["background", *CLASSES])
    found = paired(_folder(VOCSegmentation, path, year, download), _pairs, [])
    return assemble_masks(seed, found, values.class_names, values.decoding(wanted.decoding), wanted, DrawnSplits(), batching)


def _folder(cls: Any, path: str, year: str, download: bool) -> str:
    """Find the folder of a year, and fetch what is not there; raises ComponentError."""
    from torchvision.datasets.voc import DATASET_YEAR_DICT

    root = os.path.join(path, DATASET_YEAR_DICT[year]["base_dir"])
    lists = os.path.join(root, "ImageSets", cls._SPLITS_DIR)
    for part in ("train", "test") if year == "2007" else ("train",):
        there = os.path.exists(os.path.join(lists, f"{part}.txt"))
        if part == "train" or (download and not there):  # the test part of 2007 is an archive of its own
            construct(cls, f"VOC{year}", path, f"the folder {root}", download and not there, year=year, image_set=part)
    return root


def _pairs(root: str) -> Iterator[Pair]:
    for split in SPLITS:
        file = os.path.join(root, "ImageSets", "Segmentation", f"{split}.txt")
        if os.path.exists(file):
            for name, place in names_of(file):
                yield Pair(f"JPEGImages/{name}.jpg", f"SegmentationClass/{name}.png", split, place)
