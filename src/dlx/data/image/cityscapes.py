"""Cityscapes as torchvision keeps it: streets of German cities with a class a pixel."""

from __future__ import annotations

import os
from collections.abc import Iterator
from functools import partial
from typing import Literal

from dlx.core import Source
from dlx.data.image.annotated import VisionFacts
from dlx.data.image.image_masks import MaskValues
from dlx.data.image.mask_assembly import assemble_masks
from dlx.data.image.mask_files import Pair, paired
from dlx.data.image.preparation import DrawnSplits, ImageOptions, preparation
from dlx.data.options import Batching
from dlx.errors import ComponentError
from dlx.processors.image.masks import MaskProcessor
from dlx.registry import sources
from dlx.registry.types import DataPath

IMAGES = "leftImg8bit"
MASKS = {"fine": "gtFine", "coarse": "gtCoarse"}
UNNAMED = 255  # how -1, of number plates, is written in a byte


@sources("cityscapes")
def cityscapes(
    seed: int,
    kept: VisionFacts,
    *,
    path: DataPath,
    mode: Literal["fine", "coarse"] = "fine",
    images: ImageOptions,
    batching: Batching,
) -> Source:
    """Streets of German cities with a class a pixel, of 19 (Cordts et al. 2016).

    `path` is the folder that torchvision calls root: it has leftImg8bit and gtFine (or gtCoarse), as they are unpacked. They
    are had from https://www.cityscapes-dataset.com, for an account there. The masks are those that end in `_labelIds.png`;
    what the benchmark leaves out counts for nothing. The annotations of its test split are not public, so there is none. All
    else is as for image_masks.
    """
    from torchvision.datasets import Cityscapes

    kept.refuse_other("masks")
    wanted = preparation(kept, images, MaskProcessor)
    classes = [one for one in Cityscapes.classes if not one.ignore_in_eval]
    ignored = [one.id for one in Cityscapes.classes if one.ignore_in_eval and one.id >= 0]
    values = MaskValues(
        class_names=[one.name for one in classes], values=[one.id for one in classes], ignored=[*ignored, UNNAMED]
    )
    found = paired(path, partial(_pairs, mode), [])
    return assemble_masks(seed, found, values.class_names, values.decoding(wanted.decoding), wanted, DrawnSplits(), batching)


def _pairs(mode: Literal["fine", "coarse"], root: str) -> Iterator[Pair]:
    """List images and masks as torchvision does, by name; raises ComponentError where a folder is missing."""
    from torchvision.datasets import Cityscapes

    for split in ("train", "val"):
        for folder in (IMAGES, MASKS[mode]):
            if not os.path.isdir(place := os.path.join(root, folder, split)):
                told = "unpack its archives side by side, from https://www.cityscapes-dataset.com"
                raise ComponentError(f"no Cityscapes in {root}: {place} is not there; {told}", ("path",))
        made = Cityscapes(root, split=split, mode=mode, target_type="semantic")
        for image, (mask,) in sorted(zip(made.images, made.targets, strict=True)):
            yield Pair(os.path.relpath(image, root), os.path.relpath(mask, root), split, image)
