"""A data set of recordings: batches of clips of like length, whose features are computed a batch at a time."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor

from dlx.core import Batch
from dlx.data.by_length import LengthSource, Lengthy
from dlx.data.order import generator
from dlx.data.speech.augmentation import Augmentation
from dlx.data.speech.clips import Recordings
from dlx.data.speech.options import AudioBatching
from dlx.data.speech.words import WordAugmentation
from dlx.processors.speech.reader import AudioReader

BATCH, EVALUATION_BATCH, EVALUATION_SECONDS = 32, 64, 120
AUGMENTED = 7  # tells the draws of augmentation from others of the seed


class ClipSplit(Lengthy):
    """A split of recordings: with a class each, `targets` int64 (N,), or with the codes of a transcript each."""

    def __init__(self, recordings: Recordings, processor: AudioReader, targets: Tensor | Sequence[Sequence[int]]) -> None:
        self.recordings, self.processor, self.targets = recordings, processor, targets
        self.keys = torch.from_numpy(recordings.samples)
        self.device = torch.device("cpu")

    def sides(self, key: int) -> list[int]:
        return [key]

    def batch(self, rows: Tensor, training: bool) -> Batch:
        """Return some clips as they are."""
        waves, samples = (one.to(self.device) for one in self.recordings.padded(rows))
        found, length = self.processor.features(waves, samples)
        return self.words(rows, training) | {"input": found, "length": length}

    def changed(
        self, rows: Tensor, augmentation: Augmentation, changes: WordAugmentation | None, draw: torch.Generator
    ) -> Batch:
        """Return some clips, changed by lot."""
        waves, samples = self.recordings.padded(rows)
        codes = None
        if changes:
            waves, samples, codes = changes(rows.tolist(), waves, samples, draw)
        waves, samples = augmentation.waves(waves.to(self.device), samples.to(self.device), draw)
        found, length = self.processor.features(waves, samples)
        return self.words(rows, True, codes) | {"input": augmentation.features(found, length, draw), "length": length}

    def words(self, rows: Tensor, training: bool, codes: Sequence[Sequence[int]] | None = None) -> dict[str, Any]:
        """Return all words of a batch but the features; `codes` are those of transcripts that were changed."""
        if isinstance(self.targets, Tensor):
            return {"target": self.targets[rows], "index": rows}
        numbers = rows.tolist()
        codes = codes or [self.targets[row] for row in numbers]
        longest = max(1, *map(len, codes))
        target = torch.tensor([[*one, *[-1] * (longest - len(one))] for one in codes])
        texts = {} if training else {"reference": [[self.recordings.clips[row].text] for row in numbers]}
        return {"target": target, "index": rows, **texts}


class SpeechSource(LengthSource):
    """Splits of recordings; training clips are changed by an augmentation, by lots of the seed, the epoch and the batch."""

    def __init__(
        self,
        seed: int,
        data: Mapping[str, ClipSplit],
        facts: Mapping[str, Any],
        processor: AudioReader,
        batching: AudioBatching,
        augmentation: Augmentation,
        changes: WordAugmentation | None = None,
    ) -> None:
        free, rate = batching.seconds_per_batch, processor.rate
        most = batching.batch_size or (2**40 if free else BATCH)
        evaluated = (EVALUATION_BATCH, EVALUATION_SECONDS * rate)
        super().__init__(seed, data, facts, processor, most, int(free * rate) if free else 2**60, evaluated)
        self.heard, self.augmentation, self.changes = dict(data), augmentation, changes
        self.random_inputs = augmentation.active or changes is not None

    def to(self, device: torch.device) -> None:
        """Compute features where batches are used."""
        for split in self.heard.values():
            split.device = device

    def duration(self, split: str) -> float:
        """Return how many seconds a split's clips last together."""
        return float(self.heard[split].recordings.samples.sum() / self.heard[split].processor.rate)

    def training_batch(self, rows: Tensor, epoch: int, place: int) -> Batch:
        """Return training clips, changed as the augmentation says."""
        if not self.random_inputs:
            return super().training_batch(rows, epoch, place)
        draw = generator(self.seed, epoch, place, AUGMENTED)
        return self.heard["train"].changed(rows, self.augmentation, self.changes, draw)
