"""Which recordings train, validate and test: as the data say, by speakers, or drawn."""

from __future__ import annotations

import logging
from collections.abc import Sequence

from dlx.data.speech.clips import Clip
from dlx.data.speech.options import AudioSplits
from dlx.data.splits import draw
from dlx.errors import ComponentError, unknown

FRACTION = 0.1  # of the clips, or of the speakers, where nothing says how many
SPLITS = ("train", "val", "test")
log = logging.getLogger("dlx")


def divide(clips: Sequence[Clip], wanted: AudioSplits, classes: bool) -> tuple[dict[str, list[int]], frozenset[str]]:
    """Return the numbers of each split's clips, and the names of the splits that were drawn from the training split's.

    With `classes` every class keeps its share in what is drawn by clips.
    """
    own = [clip.split or "train" for clip in clips]
    fixed: set[str] = set()
    for split, names in (("val", wanted.val_speakers), ("test", wanted.test_speakers)):
        if names:
            _hold_out(clips, own, split, names)
            fixed.add(split)
    for split, share in (("val", wanted.val), ("test", wanted.test)):
        if share is not None and split in own:
            raise ComponentError(f"the data say which clips are for {split}; leave it out", (split,))
    shares = {"val": wanted.val, "test": wanted.test}
    missing = [split for split in ("val", "test") if split not in own and split not in fixed and shares[split] != 0]
    train = [row for row, split in enumerate(own) if split == "train"]
    parts = {split: [row for row, name in enumerate(own) if name == split] for split in SPLITS}
    if missing and train:
        fractions = {split: (shares[split] or FRACTION) if split in missing else 0.0 for split in ("val", "test")}
        drawn = _by_speaker(clips, train, fractions, wanted) if wanted.by_speaker else None
        drawn = drawn or _by_clip(clips, train, fractions, wanted, classes)
        parts |= {split: drawn.get(split, []) for split in ("train", *missing)}
    tell_shared_speakers(clips, parts)
    return {split: rows for split, rows in parts.items() if rows}, frozenset(missing)


def _hold_out(clips: Sequence[Clip], own: list[str], split: str, names: Sequence[str]) -> None:
    """Put all clips of some speakers into a split, and no others."""
    speakers = sorted({clip.speaker for clip in clips} - {""})
    for name in names:
        if name not in speakers:
            raise ComponentError(f"'{name}': {unknown('speaker', name, speakers)}", (f"{split}_speakers",))
    for row, clip in enumerate(clips):
        if clip.speaker in names:
            own[row] = split
        elif own[row] == split:
            own[row] = "train"


def _by_speaker(
    clips: Sequence[Clip], train: Sequence[int], fractions: dict[str, float], wanted: AudioSplits
) -> dict[str, list[int]]:
    """Draw speakers, with all of their clips."""
    if nameless := [clips[row].place for row in train if not clips[row].speaker]:
        raise ComponentError(f"wants to know who speaks, and {nameless[0]} does not say", ("by_speaker",))
    speakers = sorted({clips[row].speaker for row in train})
    drawn = draw(len(speakers), fractions["val"], fractions["test"], wanted.split_seed, unit="speaker")
    where = {speakers[number]: split for split, numbers in drawn.items() for number in numbers}
    return {split: [row for row in train if where[clips[row].speaker] == split] for split in drawn}


def _by_clip(
    clips: Sequence[Clip], train: Sequence[int], fractions: dict[str, float], wanted: AudioSplits, classes: bool
) -> dict[str, list[int]]:
    labels = [clips[row].text for row in train] if classes else None
    drawn = draw(len(train), fractions["val"], fractions["test"], wanted.split_seed, labels, "clip")
    return {split: [train[number] for number in numbers] for split, numbers in drawn.items()}


def tell_shared_speakers(clips: Sequence[Clip], parts: dict[str, list[int]]) -> None:
    """Warn of speakers of validation and test who are heard in training too: such numbers say nothing of other voices."""
    train = {clips[row].speaker for row in parts["train"]} - {""}
    for split in ("val", "test"):
        heard = {clips[row].speaker for row in parts[split]}
        if both := sorted(heard & train):
            told = ", ".join(both[:3]) + (", ..." if len(both) > 3 else "")
            log.warning("%s: %s of %s speakers are heard in training too: %s", split, len(both), len(heard), told)
