"""Frequencies as they are heard: the mel scale, its triangular filters, and the cosines of a cepstrum."""

from __future__ import annotations

import math
from typing import Literal

import numpy as np

MelScale = Literal["slaney", "htk"]
LINEAR, BREAK, OCTAVE = 200 / 3, 1000.0, math.log(6.4) / 27  # Slaney's: hertz a mel below the break, growth above it


def to_mel(hertz: np.ndarray, scale: MelScale) -> np.ndarray:
    """Return frequencies in mels: Slaney's (linear below 1 kHz, logarithmic above) or O'Shaughnessy's, as HTK has it."""
    if scale == "htk":
        return 2595 * np.log10(1 + hertz / 700)
    above = BREAK / LINEAR + np.log(np.maximum(hertz, BREAK) / BREAK) / OCTAVE
    return np.where(hertz < BREAK, hertz / LINEAR, above)


def to_hertz(mel: np.ndarray, scale: MelScale) -> np.ndarray:
    """Return mels in hertz."""
    if scale == "htk":
        return 700 * (10 ** (mel / 2595) - 1)
    above = BREAK * np.exp(OCTAVE * (np.maximum(mel, BREAK / LINEAR) - BREAK / LINEAR))
    return np.where(mel < BREAK / LINEAR, mel * LINEAR, above)


def filters(rate: int, size: int, count: int, low: float, high: float, scale: MelScale) -> np.ndarray:
    """Return triangles over the frequencies of a Fourier transform of `size` samples: float32 (size // 2 + 1, count).

    Their corners are evenly spaced in mels, and each has the same area (Slaney 1998), as librosa.filters.mel makes them.
    """
    bins = np.linspace(0, rate / 2, size // 2 + 1)
    ends = to_mel(np.array([low, high]), scale)
    corners = to_hertz(np.linspace(ends[0], ends[1], count + 2), scale)
    rising = (bins[:, None] - corners[:-2]) / np.diff(corners)[:-1]
    falling = (corners[2:] - bins[:, None]) / np.diff(corners)[1:]
    triangles = np.maximum(0, np.minimum(rising, falling))
    return (triangles * 2 / (corners[2:] - corners[:-2])).astype(np.float32)


def cosines(size: int, count: int) -> np.ndarray:
    """Return the first rows of the orthonormal discrete cosine transform of type 2: float32 (size, count)."""
    waves = np.cos(np.pi / size * (np.arange(size)[:, None] + 0.5) * np.arange(count))
    waves *= math.sqrt(2 / size)
    waves[:, 0] /= math.sqrt(2)
    return waves.astype(np.float32)
