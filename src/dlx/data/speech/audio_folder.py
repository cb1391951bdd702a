"""Folders of recordings, a folder a word."""

from __future__ import annotations

import os

from dlx.core import Source
from dlx.data.options import Checkpoint
from dlx.data.speech.assembly import Wanted
from dlx.data.speech.clips import Clip
from dlx.data.speech.labelled import labelled_source
from dlx.data.speech.options import AudioAugmentation, AudioBatching, AudioFiles, AudioSplits, Keywords
from dlx.data.speech.reading import recordings
from dlx.data.splits import split_named
from dlx.errors import ComponentError, UsageError
from dlx.processors.speech.features import FeatureOptions
from dlx.processors.speech.reader import below
from dlx.registry import sources
from dlx.registry.types import DataPath


@sources("audio_folder")
def audio_folder(
    seed: int,
    checkpoint: Checkpoint,
    *,
    path: DataPath,
    speaker_mark: str | None = None,
    features: FeatureOptions,
    files: AudioFiles,
    splits: AudioSplits,
    batching: AudioBatching,
    augmentation: AudioAugmentation,
    keywords: Keywords,
) -> Source:
    """Recordings of words as word/file or split/word/file: WAV, FLAC, OGG, MP3 and what else soundfile reads (extra: speech).

    Splits are train (training), val (valid, validation, dev) and test (testing), in any case; those that have no folder are
    drawn (a tenth each), every word keeping its share. With `speaker_mark` a file's name up to that mark names the speaker:
    `_nohash_` for Speech Commands. Files that cannot be used (unreadable, truncated, silent, overlong) are reported together.
    """
    clips = listed(path, speaker_mark)
    wanted = Wanted(seed, checkpoint, features, files, splits, batching, augmentation)
    return labelled_source(wanted, recordings(clips, features.sample_rate, files), keywords)


def listed(path: str, speaker_mark: str | None) -> list[Clip]:
    """Find the clips of a folder; raises ComponentError where one lies in no folder of a word."""
    try:
        names = list(below(path))
    except UsageError as error:
        raise ComponentError(str(error), ("path",)) from None
    inside = [os.path.relpath(name, path).split(os.sep) for name in names]
    divided = all(len(parts) > 2 and split_named(parts[0]) for parts in inside)
    clips = []
    for name, parts in zip(names, inside, strict=True):
        if len(parts) != 2 + divided:
            raise ComponentError(f"{name}: does not lie in {'split/word' if divided else 'word'}/file", ("path",))
        speaker = _speaker(name, parts[-1], speaker_mark) if speaker_mark else ""
        clips.append(Clip(name, name, parts[-2], (split_named(parts[0]) or "") if divided else "", speaker))
    return clips


def _speaker(name: str, base: str, mark: str) -> str:
    speaker, found, _ = base.partition(mark)
    if not found or not speaker:
        raise ComponentError(f"{name}: has no speaker before {mark!r} in its name", ("speaker_mark",))
    return speaker
