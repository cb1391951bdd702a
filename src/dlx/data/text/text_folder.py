"""A folder of texts for each class."""

from __future__ import annotations

from pathlib import Path

from dlx.core import Source
from dlx.data.options import Checkpoint
from dlx.data.splits import split_named
from dlx.data.text.labelled import Labelled, labelled_source
from dlx.data.text.options import TextBatching, TextOptions, TextSplits
from dlx.data.text.parts import refuse
from dlx.errors import UsageError
from dlx.processors.text.lines import read_lines
from dlx.registry import sources
from dlx.registry.types import DataPath


@sources("text_folder")
def text_folder(
    seed: int,
    checkpoint: Checkpoint,
    *,
    path: DataPath,
    options: TextOptions,
    splits: TextSplits,
    batching: TextBatching,
) -> Source:
    """Texts of several classes, a UTF-8 file each: class/file.txt, or train/class/file.txt beside val and test.

    Without folders of their own, the splits are drawn, as for text_files.
    """
    root = Path(path)
    parts = {split: folder for folder in folders(root) if (split := split_named(folder.name))}
    if parts and "train" not in parts:
        raise UsageError(f"{path}: has a folder for {', '.join(parts)}, but none for train")
    texts, labels, own, empty = list[str](), list[str](), list[str](), list[str]()
    for split, place in (parts or {"": root}).items():
        for kind in folders(place):
            for file in sorted(kind.glob("*.txt")):
                text = " ".join(line.text for line in read_lines(str(file))).strip()
                if not text:
                    empty.append(str(file))
                    continue
                texts.append(text)
                labels.append(kind.name)
                own.append(split)
    refuse(empty, "no text")
    if not texts:
        raise UsageError(f"{path}: there is no class/file.txt in it")
    return labelled_source(seed, checkpoint, Labelled(texts, labels, own if parts else None), options, splits, batching)


def folders(place: Path) -> list[Path]:
    """List the folders of a folder by name, without hidden ones."""
    return sorted(one for one in place.iterdir() if one.is_dir() and not one.name.startswith("."))
