"""Recordings with a class each, such as spoken words: keywords, all other words, and silence."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor

from dlx.data.order import generator
from dlx.data.speech.assembly import Wanted, divided, features_of, fitted, longest, source
from dlx.data.speech.clips import Clip, Recordings
from dlx.data.speech.options import Keywords
from dlx.data.speech.source import SpeechSource
from dlx.errors import ComponentError, UsageError, unknown
from dlx.processors.labels import distinct
from dlx.processors.speech.decoding import SCALE
from dlx.processors.speech.processor import AudioProcessor

UNKNOWN, SILENCE = "unknown", "silence"
FAINTEST, LOUDEST = -70.0, -30.0  # decibels of full scale between which silence is drawn


def labelled_source(wanted: Wanted, whole: Recordings, keywords: Keywords) -> SpeechSource:
    """Make the data set; a class that training does not hear is refused."""
    whole = spotted(whole, keywords)
    parts, drawn = divided(whole, wanted, classes=True)
    parts = {split: with_silence(part, keywords.silence_share, wanted, split) for split, part in parts.items()}
    processor = fitted(wanted.checkpoint.processor, AudioProcessor, wanted.features) or fit(parts["train"], wanted)
    names = processor.target.names
    numbers = {name: number for number, name in enumerate(names)}

    def targets(labels: Sequence[str]) -> Tensor:
        if strange := [label for label in dict.fromkeys(labels) if label not in numbers]:
            raise UsageError(f"the training split has no recording of {strange[0]!r}, and another split has")
        return torch.tensor([numbers[label] for label in labels])

    facts = {"num_classes": len(names), "class_names": names}
    if "train" in parts:
        counts = torch.bincount(targets([clip.text for clip in parts["train"].clips]), minlength=len(names))
        facts["class_counts"] = counts.tolist()
    return source(wanted, parts, drawn, processor, targets, facts)


def fit(train: Recordings, wanted: Wanted) -> AudioProcessor:
    """Fit the processor to the training split."""
    names = distinct({clip.text for clip in train.clips})
    if len(names) < 2:
        raise UsageError(f"the training split holds one class only: {names[0]!r}")
    return AudioProcessor(features_of(train, wanted.features), longest(train, wanted.features), names)


def spotted(whole: Recordings, wanted: Keywords) -> Recordings:
    """Call all words unknown that are not to be spotted."""
    if wanted.keywords is None:
        return whole
    labels = sorted({clip.text for clip in whole.clips})
    if strange := [word for word in wanted.keywords if word not in labels]:
        raise ComponentError(f"'{strange[0]}': {unknown('label', strange[0], labels)}", ("keywords",))
    clips = [clip if clip.text in wanted.keywords else clip._replace(text=UNKNOWN) for clip in whole.clips]
    return Recordings(clips, whole.waves, whole.samples, whole.starts)


def with_silence(part: Recordings, share: float, wanted: Wanted, split: str) -> Recordings:
    """Add clips of faint noise, as long as others of the split; they follow from `split_seed`."""
    count = round(share * len(part.clips))
    if not count:
        return part
    draw = generator(wanted.splits.split_seed, ("train", "val", "test").index(split), 11)
    waves = [part.wave(row) for row in range(len(part.clips))]
    for number in range(count):
        size = len(waves[number % len(part.clips)])
        loud = 10 ** ((FAINTEST + (LOUDEST - FAINTEST) * float(torch.rand((), generator=draw))) / 20)
        noise = torch.randn(size, generator=draw).numpy() * loud * SCALE
        waves.append(noise.round().clip(-SCALE, SCALE - 1).astype(np.int16))
    silent = [Clip("", "silence", SILENCE, split) for _ in range(count)]
    return Recordings.of([*part.clips, *silent], waves)
