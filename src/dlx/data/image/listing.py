"""Images with their classes and splits, read from the names of folders or given by a list."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass

import numpy as np

from dlx.data.image.names import SHOWN, Names, counted
from dlx.data.splits import split_named
from dlx.errors import ComponentError

WHOLE = "all"  # images that lie in no split: training, validation and test images are drawn from them


@dataclass(frozen=True)
class Known:
    """The classes of a model trained before, and the splits that are needed now (None: all)."""

    class_names: Sequence[str]
    wanted: Collection[str] | None = None


@dataclass
class Listing:
    """Images with their classes: `labels` int64 `(N,)`, and `splits` by name, each the ascending numbers of its images.

    Where classes lie within images, `labelled` is false, and all labels are 0.
    """

    files: Names
    class_names: list[str]
    labels: np.ndarray
    splits: dict[str, np.ndarray]
    labelled: bool = True

    @property
    def pool(self) -> str:
        """Name the images that missing splits are drawn from."""
        return WHOLE if WHOLE in self.splits else "train"


def needed(own: Collection[str], pool: str, wanted: Collection[str] | None) -> set[str]:
    """Tell which parts of a listing give the wanted splits: their own, and the pool where one must be drawn from it."""
    if wanted is None:
        return set(own)
    drawn = [split for split in wanted if split == "train" or split not in own]
    return {split for split in wanted if split in own} | ({pool} & set(own) if drawn else set())


def by_folders(files: Names, layout: str, known: Known | None = None) -> Listing:
    """Read classes and splits from the names: split/class/file, or class/file for one split, called "all".

    Where a model was trained before, the training images need not be there.
    """
    if not files.names:
        files.report()
        raise ComponentError(f"no images in {files.root}", ("path",))
    tops = [name.split("/", 3)[:3] for name in files.names]
    if layout == "auto":
        layout = _layout(files.root, tops, known)
    depth = 1 if layout == "splits" else 0
    if stray := [name for name, top in zip(files.names, tops, strict=True) if len(top) < depth + 2]:
        wanted = "split/class/file" if depth else "class/file"
        raise ComponentError(
            f"{files.root}: {counted(stray, f'image does not lie in {wanted}', f'images do not lie in {wanted}')}", ("path",)
        )
    folders = {top[0] for top in tops}
    splits = _splits(files.root, folders) if depth else dict.fromkeys(folders, WHOLE)
    return labelled(files, [top[depth] for top in tops], [splits[top[0]] for top in tops], "path", known)


def _layout(root: str, tops: Sequence[Sequence[str]], known: Known | None) -> str:
    """Tell what the outer folders are; raises ComponentError where it looks as though splits were taken for classes."""
    inner: dict[str, set[str]] = {}
    flat: set[str] = set()  # outer folders with images of their own
    for top in tops:
        if len(top) < 3:
            flat.add(top[0])
        else:
            inner.setdefault(top[0], set()).add(top[1])
    # A class may be called train: as a split, it has folders and no images of its own.
    named = {top for top in inner if split_named(top)}
    if named and not any(split_named(top) for top in flat):
        if any(split_named(top) == "train" for top in named):
            return "splits"
        if known is not None and not named & set(known.class_names):
            return "splits"
        if len(named) == len(inner):
            raise ComponentError(
                f"{root}: has no training images: beside {', '.join(sorted(named))} a folder train is missing", ("path",)
            )
    _refuse_splits_as_classes(root, inner, flat)
    return "classes"


def _refuse_splits_as_classes(root: str, inner: dict[str, set[str]], flat: set[str]) -> None:
    shared = set.intersection(*inner.values()) if inner else set()
    if flat or len(shared) < 2 or any(found != shared for found in inner.values()):
        return
    if len(inner) == 1:
        (only,) = inner
        raise ComponentError(f"{root}: holds one folder only; did you mean {root.rstrip('/')}/{only}?", ("path",))
    outer, within = (f"{', '.join(sorted(names)[:SHOWN])}{', ...' * (len(names) > SHOWN)}" for names in (inner, shared))
    raise ComponentError(
        f"{root}: its folders {outer} all hold the same folders, {within}. If the inner ones are the classes, name the outer "
        "ones train, val and test; if the outer ones are, say layout: classes",
        ("layout",),
    )


def _splits(root: str, folders: set[str]) -> dict[str, str]:
    found = {folder: split_named(folder) for folder in sorted(folders)}
    if strange := [folder for folder, split in found.items() if split is None]:
        raise ComponentError(
            f"{root}: beside train, {counted(strange, 'folder is no split', 'folders are no splits')}", ("path",)
        )
    splits = {folder: split for folder, split in found.items() if split}
    for split in set(splits.values()):
        if len(same := [folder for folder in splits if splits[folder] == split]) > 1:
            raise ComponentError(f"{root}: {' and '.join(same)} are the same split, {split}; keep one", ("path",))
    return splits


def labelled(files: Names, classes: Sequence[str], splits: Sequence[str], blamed: str, known: Known | None = None) -> Listing:
    """Number the classes of the training images in the order of the alphabet, or as a model has them; there are no others."""
    trained = WHOLE if WHOLE in splits else "train"
    names = sorted({kind for kind, split in zip(classes, splits, strict=True) if split == trained})
    if known is not None:
        names = list(known.class_names)
    elif len(names) < 2:
        found = f"one class only, {names[0]}" if names else "no class"
        raise ComponentError(f"{files.root}: the training images have {found}; it takes two", (blamed,))
    _refuse_bytes(files.root, names, blamed)
    codes = {name: code for code, name in enumerate(names)}
    parts = set(splits) if known is None else needed(set(splits), trained, known.wanted)
    found_in = {(split, kind) for kind, split in zip(classes, splits, strict=True) if split in parts}
    if unknown := sorted(f"{split}/{kind}" for split, kind in found_in if kind not in codes):
        place = "in the training split" if known is None else "among those that the model was trained on"
        raise ComponentError(
            f"{files.root}: {counted(unknown, f'class is not {place}', f'classes are not {place}')}", (blamed,)
        )
    labels = np.fromiter((codes.get(kind, -1) for kind in classes), np.int64, len(classes))
    rows = np.array(splits)
    return Listing(files, names, labels, {split: np.flatnonzero(rows == split) for split in dict.fromkeys(splits)})


def _refuse_bytes(root: str, names: Sequence[str], blamed: str) -> None:
    """Refuse names of classes that no text can hold, since a checkpoint and the answers keep them as text."""
    if strange := [repr(name) for name in names if not _is_text(name)]:
        told = counted(strange, "name of a class is no UTF-8", "names of classes are no UTF-8")
        raise ComponentError(f"{root}: {told}; rename it, since a checkpoint keeps it as text", (blamed,))


def _is_text(name: str) -> bool:
    try:
        name.encode()
    except UnicodeEncodeError:
        return False
    return True
