"""Folders and archives of images, a folder a class."""

from __future__ import annotations

from typing import Literal

from dlx.core import Source
from dlx.data.image.archives import find
from dlx.data.image.listing import by_folders
from dlx.data.image.preparation import DrawnSplits, ImageOptions, assemble, preparation
from dlx.data.options import Batching, Checkpoint
from dlx.processors.image.decoding import ENDINGS
from dlx.registry import sources
from dlx.registry.types import DataPath

EXTENSIONS = list(ENDINGS)


@sources("image_folder")
def image_folder(
    seed: int,
    kept: Checkpoint,
    *,
    path: DataPath,
    layout: Literal["auto", "splits", "classes"] = "auto",
    follow_links: bool = False,
    extensions: list[str] = EXTENSIONS,
    images: ImageOptions,
    drawn: DrawnSplits,
    batching: Batching,
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
    wanted = preparation(kept, images)
    endings = [ending.lower() if ending.startswith(".") else f".{ending.lower()}" for ending in extensions]
    own = None if layout == "classes" or "train" in (wanted.wanted or ()) else wanted.wanted
    files = find(path, endings, wanted.store, wanted_splits=own, follow_links=follow_links)
    return assemble(seed, by_folders(files, layout, wanted.known), wanted, drawn, batching)
