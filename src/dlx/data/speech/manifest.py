"""Recordings that a table or JSON lines list, with classes or transcripts."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass

from dlx.core import Source
from dlx.data.options import Checkpoint
from dlx.data.records import Record, json_records, split_of, table_records
from dlx.data.speech.assembly import Wanted
from dlx.data.speech.clips import Clip
from dlx.data.speech.labelled import labelled_source
from dlx.data.speech.options import AudioAugmentation, AudioBatching, AudioFiles, AudioSplits, Keywords, Transcripts
from dlx.data.speech.reading import recordings
from dlx.data.speech.transcribed import transcribed_source
from dlx.errors import ComponentError, UsageError
from dlx.processors.speech.features import FeatureOptions
from dlx.registry import sources
from dlx.registry.types import DataPath, OptionGroup

FURTHER = ("split", "speaker", "duration")  # columns that a list may have


@dataclass(frozen=True)
class Listing(OptionGroup):
    """The list of recordings: a CSV or TSV file with a header, or one of a JSON object a line (.jsonl), plain or gzipped.

    Files are relative to `root`, or to the list's own folder. Columns named split, speaker and duration (seconds) are read
    where they are there.
    """

    path: DataPath
    root: DataPath | None = None
    audio_column: str = "audio"


@sources("audio_manifest")
def audio_manifest(
    seed: int,
    checkpoint: Checkpoint,
    *,
    listing: Listing,
    label_column: str = "label",
    features: FeatureOptions,
    files: AudioFiles,
    splits: AudioSplits,
    batching: AudioBatching,
    augmentation: AudioAugmentation,
    keywords: Keywords,
) -> Source:
    """Recordings listed with a class each, such as spoken words: CSV, TSV or JSON lines (extra: speech).

    A file that is shorter than its duration in the list is reported as truncated; all else is as for audio_folder.
    """
    clips = read(listing, "label_column", label_column)
    wanted = Wanted(seed, checkpoint, features, files, splits, batching, augmentation)
    return labelled_source(wanted, recordings(clips, features.sample_rate, files), keywords)


@sources("speech_manifest")
def speech_manifest(
    seed: int,
    checkpoint: Checkpoint,
    *,
    listing: Listing,
    text_column: str = "text",
    features: FeatureOptions,
    files: AudioFiles,
    splits: AudioSplits,
    batching: AudioBatching,
    augmentation: AudioAugmentation,
    transcripts: Transcripts,
) -> Source:
    """Recordings listed with a transcript each: CSV, TSV or JSON lines (extra: speech).

    Transcripts are written one way for training and scoring: in lower case and without marks, unless `lowercase` and
    `punctuation` say otherwise. They are learned as characters, or as pieces of words (bpe: extra text).
    """
    clips = read(listing, "text_column", text_column)
    wanted = Wanted(seed, checkpoint, features, files, splits, batching, augmentation)
    return transcribed_source(wanted, recordings(clips, features.sample_rate, files), transcripts)


def read(listing: Listing, key: str, column: str) -> list[Clip]:
    """Read the list; raises ComponentError and UsageError with the line."""
    root = listing.root or os.path.dirname(listing.path)
    clips = [_clip(root, record) for record in records(listing, key, column)]
    if not clips:
        raise ComponentError(f"{listing.path}: lists no recording", ("path",))
    if 0 < sum(not clip.split for clip in clips) < len(clips):
        nameless = next(clip for clip in clips if not clip.split)
        raise UsageError(f"{nameless.place}: says no split, and others do")
    return clips


def records(listing: Listing, key: str, column: str) -> Iterator[Record]:
    """Read file, label or transcript, and what else a list tells of each recording."""
    if ".jsonl" in listing.path or ".ndjson" in listing.path:
        return json_records(listing.path, [listing.audio_column, column], FURTHER)
    columns = {"audio_column": listing.audio_column, key: column}
    return table_records(listing.path, columns, None, True, FURTHER)


def _clip(root: str, record: Record) -> Clip:
    (audio, text, split, speaker, duration), place = record
    if not audio or not text:
        raise UsageError(f"{place}: has no {'file' if not audio else 'label or transcript'}")
    try:
        seconds = float(duration) if duration else None
    except ValueError:
        raise UsageError(f"{place}: {duration!r} is no number of seconds") from None
    return Clip(os.path.join(root, audio), place, text, split_of(split, place) if split else "", speaker, seconds)
