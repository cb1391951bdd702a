"""Folders and archives of images, a folder a class."""

from __future__ import annotations

from typing import Literal

from pydantic import PositiveInt

from dlx.augmentation.pipeline import AugmentationList
from dlx.core import Processor, Source
from dlx.data.image.archives import find
from dlx.data.image.listing import by_folders
from dlx.data.image.preparation import Channels, MaxPixels, NumWorkers, OnBad, Size, assemble, preparation
from dlx.data.image.store import Cache
from dlx.data.splits import Fraction
from dlx.processors.image.decoding import ENDINGS, MAX_PIXELS, Resize
from dlx.registry import sources
from dlx.registry.types import DataPath

EXTENSIONS = list(ENDINGS)


@sources("image_folder")
def image_folder(
    seed: int,
    processor: Processor | None = None,
    wanted_splits: frozenset[str] | None = None,
    *,
    path: DataPath,
    image_size: Size,
    layout: Literal["auto", "splits", "classes"] = "auto",
    follow_links: bool = False,
    channels: Channels = 3,
    resize: Resize = "squash",
    cache_size: Size | None = None,
    augment: AugmentationList | None = None,
    val: Fraction | None = None,
    test: Fraction | None = None,
    split_seed: int = 0,
    extensions: list[str] = EXTENSIONS,
    check_endings: bool = True,
    on_bad: OnBad = "error",
    max_pixels: MaxPixels = MAX_PIXELS,
    cache: Cache | None = None,
    num_workers: NumWorkers | None = None,
    batch_size: PositiveInt = 32,
    drop_last: bool = False,
) -> Source:
    """A folder of images as split/class/file or class/file; a split, or all of it, may be a tar archive.

    Splits are train (training), val (valid, validation, dev) and test (testing), in any case. Where there are none, `val`
    and `test` are fractions (0.2 each) drawn by `split_seed`, every class keeping its share; beside a training folder, `val`
    is (0.2) where it has no own. `image_size` is what the model reads, a number or [height, width]; a file is stretched to
    it (squash), cut in the middle (crop) or fitted in with black borders (pad). With `cache_size`, that is stored, and the
    middle, or a random crop in training, is read. Decoded pixels are kept in `cache` ($XDG_CACHE_HOME/dlx or ~/.cache/dlx;
    none: decode every time). Files that cannot be used are reported together, and left out under on_bad: skip;
    check_endings: false takes those whose name has another format's ending. `follow_links` goes by links out of the folder.
    """
    wanted = preparation(
        processor, wanted_splits, image_size=image_size, cache_size=cache_size, channels=channels, resize=resize,
        max_pixels=max_pixels, check_endings=check_endings, on_bad=on_bad, cache=cache, workers=num_workers,
    )  # fmt: skip
    endings = [ending.lower() if ending.startswith(".") else f".{ending.lower()}" for ending in extensions]
    own = None if layout == "classes" or "train" in (wanted.wanted or ()) else wanted.wanted
    files = find(path, endings, wanted.store, wanted_splits=own, follow_links=follow_links)
    return assemble(
        seed, by_folders(files, layout, wanted.known), wanted, val=val, test=test, split_seed=split_seed,
        augment=augment, batch_size=batch_size, drop_last=drop_last,
    )  # fmt: skip
