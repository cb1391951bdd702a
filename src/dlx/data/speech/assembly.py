"""From recordings to a data set: divided, features fitted, encoded, and told apart from any others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from dlx.data.options import Checkpoint
from dlx.data.speech.augmentation import Augmentation
from dlx.data.speech.clips import Recordings
from dlx.data.speech.options import AudioAugmentation, AudioBatching, AudioFiles, AudioSplits
from dlx.data.speech.source import ClipSplit, SpeechSource
from dlx.data.speech.splits import divide
from dlx.data.speech.words import WordAugmentation
from dlx.data.splits import chosen
from dlx.errors import ComponentError, UsageError
from dlx.processors.speech.decoding import SCALE, BadAudioError, decode
from dlx.processors.speech.features import FeatureOptions, Features
from dlx.processors.speech.reader import AudioReader, below

AT_ONCE = 64  # clips whose features are computed together to be counted
LONGEST_NOISE = 3600.0  # seconds of a file of noise
P = TypeVar("P", bound=AudioReader)
log = logging.getLogger("dlx")


@dataclass(frozen=True)
class Wanted:
    """What all data sets of recordings are given."""

    seed: int
    checkpoint: Checkpoint
    features: FeatureOptions
    files: AudioFiles
    splits: AudioSplits
    batching: AudioBatching
    augmentation: AudioAugmentation


def divided(whole: Recordings, wanted: Wanted, classes: bool) -> tuple[dict[str, Recordings], frozenset[str]]:
    """Return the recordings of each split that is wanted, and the names of those drawn."""
    rows, drawn = divide(whole.clips, wanted.splits, classes)
    parts = chosen({split: whole.taken(numbers) for split, numbers in rows.items()}, wanted.checkpoint)
    return parts, drawn & frozenset(parts)


def fitted(kept: Any, kind: type[P], options: FeatureOptions) -> P | None:
    """Return a checkpoint's processor; raises UsageError where it hears no such recordings or hears them another way."""
    if kept is None:
        return None
    if not isinstance(kept, kind):
        raise UsageError(f"the checkpoint's processor, '{kept.name}', is not the '{kind.name}' that the data wants")
    then, now = kept.features.state_dict()["options"], Features(options).state_dict()["options"]
    for key in then:
        if then[key] != now[key]:
            raise ComponentError(f"was {then[key]} in training, and is {now[key]} now", (key,))
    return kept


def features_of(train: Recordings, options: FeatureOptions) -> Features:
    """Make the features, by the training split's numbers where those are wanted."""
    features = Features(options)

    def batches() -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.from_numpy(np.argsort(train.samples, kind="stable"))
        return (train.padded(rows) for rows in order.split(AT_ONCE))

    features.fit(batches)
    return features


def longest(train: Recordings, options: FeatureOptions) -> float:
    """Return the seconds of the longest clip."""
    return float(train.samples.max() / options.sample_rate)


def noises(options: AudioAugmentation, rate: int) -> list[Tensor]:
    """Read the waves of a folder of noise; raises ComponentError where a file cannot be used."""
    if options.noise_folder is None:
        return []
    found = []
    try:
        for name in below(options.noise_folder):
            try:
                found.append(torch.from_numpy(decode(name, rate, LONGEST_NOISE).wave / np.float32(SCALE)))
            except BadAudioError as error:
                raise ComponentError(f"{name}: {error}", ("noise_folder",)) from None
    except UsageError as error:
        raise ComponentError(str(error).partition("\n")[0], ("noise_folder",)) from None
    return found


def source(
    wanted: Wanted,
    parts: Mapping[str, Recordings],
    drawn: frozenset[str],
    processor: AudioReader,
    targets: Callable[[Sequence[str]], Tensor | Sequence[Sequence[int]]],
    facts: Mapping[str, Any],
    changes: WordAugmentation | None = None,
) -> SpeechSource:
    """Make the data set; `targets` gives those of labels or transcripts."""
    data = {split: ClipSplit(part, processor, targets([clip.text for clip in part.clips])) for split, part in parts.items()}
    steps = int(processor.features.steps(int(processor.longest * processor.rate)))
    count = processor.features.count
    facts = {"input_shape": [steps, count], "num_features": count, "padded": True, **facts}
    augmentation = Augmentation(wanted.augmentation, processor.rate, noises(wanted.augmentation, processor.rate))
    made = SpeechSource(wanted.seed, data, facts, processor, wanted.batching, augmentation, changes)
    made.digests = {split: part.digest() for split, part in parts.items()}
    made.drawn = drawn
    return made
