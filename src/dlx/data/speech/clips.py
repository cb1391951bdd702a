"""Recordings as a data set knows them: a file with a label or a transcript, and their waves one after the other."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from dlx.processors.speech.decoding import SCALE


class Clip(NamedTuple):
    """A recording: its file, where it was told of, its label or transcript, and what else is told of it."""

    file: str
    place: str
    text: str
    split: str = ""  # "" where the data do not say
    speaker: str = ""
    seconds: float | None = None  # as the data say


@dataclass
class Recordings:
    """Clips with their waves: int16 (S,), one after the other in memory or in a file, and how many samples each has."""

    clips: Sequence[Clip]
    waves: np.ndarray
    samples: np.ndarray
    starts: np.ndarray

    @classmethod
    def of(cls, clips: Sequence[Clip], waves: Sequence[np.ndarray]) -> Recordings:
        """Lay waves of int16 one after the other."""
        samples = np.array([len(wave) for wave in waves], np.int64)
        flat = np.concatenate(waves) if waves else np.zeros(0, np.int16)
        return cls(clips, flat, samples, samples.cumsum() - samples)

    def taken(self, rows: Sequence[int]) -> Recordings:
        """Return some of them; the waves stay where they are."""
        at = np.asarray(rows, np.int64)
        return replace(self, clips=[self.clips[row] for row in rows], samples=self.samples[at], starts=self.starts[at])

    def wave(self, row: int) -> np.ndarray:
        """Return a clip's wave."""
        return self.waves[self.starts[row] : self.starts[row] + self.samples[row]]

    def padded(self, rows: Tensor) -> tuple[Tensor, Tensor]:
        """Return some waves as float32 (B, S), full scale 1, 0 behind their ends, and their samples int64 (B,)."""
        numbers = rows.numpy()
        samples = torch.from_numpy(self.samples[numbers])
        filled = np.zeros((len(numbers), int(samples.max())), np.float32)
        for place, row in enumerate(numbers):
            filled[place, : self.samples[row]] = self.wave(row)
        return torch.from_numpy(filled).div_(SCALE), samples

    def digest(self) -> str:
        """Return what tells these waves with their labels, in this order, from any others."""
        found = hashlib.blake2b(digest_size=16)
        for row, clip in enumerate(self.clips):
            found.update(f"{self.samples[row]},{len(clip.text)}:{clip.text}".encode("utf-8", "surrogatepass"))
            found.update(np.ascontiguousarray(self.wave(row)).tobytes())
        return found.hexdigest()
