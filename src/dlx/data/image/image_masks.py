"""Images with a class a pixel, and what the values of masks mean."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Annotated

from pydantic import Field

from dlx.core import Source
from dlx.data.image.annotated import VisionFacts
from dlx.data.image.mask_assembly import assemble_masks
from dlx.data.image.mask_files import read
from dlx.data.image.preparation import DrawnSplits, ImageOptions, preparation
from dlx.data.options import Batching
from dlx.errors import ComponentError
from dlx.processors.image.decoding import Decoding
from dlx.processors.image.mask_decoding import MOST_CLASSES, MaskDecoding
from dlx.processors.image.masks import MaskProcessor
from dlx.registry import sources
from dlx.registry.types import DataPath, OptionGroup

Level = Annotated[int, Field(ge=0, le=255)]
Value = Annotated[int, Field(ge=0, le=65535)]
ColorList = list[Annotated[list[Level], Field(min_length=3, max_length=3)]]


@dataclass(frozen=True, kw_only=True)
class MaskValues(OptionGroup):
    """What the values of a mask's pixels mean: a class's number in `class_names` unless `values` or `colors` say otherwise."""

    class_names: Annotated[list[str], Field(min_length=2, max_length=MOST_CLASSES)]
    values: list[Value] | None = None
    ignored: list[Value] = field(default_factory=lambda: [255])
    colors: ColorList | None = None
    ignored_colors: ColorList = field(default_factory=list)

    def decoding(self, images: Decoding) -> MaskDecoding:
        """Settle how masks are decoded beside their images; raises ComponentError where values clash."""
        count = len(self.class_names)
        values = self.values if self.values is not None else list(range(count))
        for key, given in (("values", values), ("colors", self.colors)):
            if given is not None and len(given) != count:
                raise ComponentError(f"names {len(given)} {key} for {count} classes", (key,))
        if len(set(self.class_names)) != count:
            raise ComponentError("names a class twice", ("class_names",))
        _refuse_clash("values", "ignored", values, self.ignored)
        _refuse_clash("colors", "ignored_colors", self.colors or [], self.ignored_colors)
        shown = [tuple((one[0], one[1], one[2]) for one in some) for some in (self.colors or [], self.ignored_colors)]
        return MaskDecoding(
            images.height, images.width, 1, images.resize, images.max_pixels, images.check_endings, tuple(values),
            tuple(self.ignored), shown[0], shown[1],
        )  # fmt: skip


def _refuse_clash(key: str, other: str, values: Sequence, ignored: Sequence) -> None:
    written = list(map(str, values))
    if twice := [value for value, count in Counter(written).items() if count > 1]:
        raise ComponentError(f"{twice[0]} stands for two classes", (key,))
    if both := [value for value in map(str, ignored) if value in written]:
        raise ComponentError(f"{both[0]} stands for a class too", (other,))


@sources("image_masks")
def image_masks(
    seed: int,
    kept: VisionFacts,
    *,
    path: DataPath,
    image_part: str = "images",
    mask_part: str = "masks",
    masks: MaskValues,
    images: ImageOptions,
    drawn: DrawnSplits,
    batching: Batching,
) -> Source:
    """Images with a class a pixel: a folder with train.txt, whose lines are `image mask`; a CSV file; or folders side by side.

    Lists train.txt, val.txt and test.txt name files relative to `path`; a CSV has the columns image, mask and, perhaps, split.
    Without lists, images in folders called `image_part` have their masks in folders called `mask_part` beside them
    (images/train/NAME.jpg, masks/train/NAME.png); splits are folders of that name, or are drawn. A mask's pixel is the number
    of its class in `class_names`, in grey or in a palette, or what `values` or `colors` list for each; those of `ignored`
    (255) count for nothing, and a value that means nothing is a fault. Masks are scaled by the nearest pixel. Faults are told
    together, and under on_bad: skip the images that have them are left out. All else is as for image_folder.
    """
    kept.refuse_other("masks")
    wanted = preparation(kept, images, MaskProcessor)
    decoding = masks.decoding(wanted.decoding)
    found = read(path, image_part, mask_part)
    return assemble_masks(seed, found, masks.class_names, decoding, wanted, drawn, batching)
