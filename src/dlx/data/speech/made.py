"""What sets of made speech share: voices that stand in one split only, phrases, and noise behind them."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np

from dlx.data.speech.clips import Clip, Recordings
from dlx.errors import ComponentError
from dlx.processors.speech.decoding import quantized

WORDS = ("hello", "goodbye", "yes", "no", "stop", "go")
FEWEST_VOICES = 3
Speak = Callable[[str, int, np.random.Generator], np.ndarray]  # a text, a voice's number, lots: float32, loudest sample 1


def split_of(voice: int, voices: int) -> str:
    """Return the split of a voice: the last fifth tests, the fifth before it validates."""
    fifth = max(1, voices // 5)
    return "test" if voice >= voices - fifth else "val" if voice >= voices - 2 * fifth else "train"


def made(texts: Callable[[np.random.Generator], Sequence[str]], voices: int, seed: int, rate: int, speak: Speak) -> Recordings:
    """Let every voice speak the texts that are drawn for it, each in noise of its own; they follow from the seed."""
    if voices < FEWEST_VOICES:
        raise ComponentError(f"are at least {FEWEST_VOICES}: one for each split", ("voices",))
    clips, waves = [], []
    for voice in range(voices):
        draw = np.random.default_rng([seed, voice])
        for text in texts(draw):
            waves.append(quantized(in_noise(speak(text, voice, draw), rate, draw)))
            name = f"voice {voice}"
            clips.append(Clip("", f"{text} by {name}", text, split_of(voice, voices), name))
    return Recordings.of(clips, waves)


def in_noise(wave: np.ndarray, rate: int, draw: np.random.Generator) -> np.ndarray:
    """Put silence around a wave, make it as loud as is drawn, and add noise 12 to 40 decibels below it."""
    silence = (rate * draw.uniform(0.02, 0.15, 2)).astype(int)
    padded = np.pad(wave, tuple(silence.tolist()))
    power = float(np.sqrt(np.square(wave).mean()))
    noise = draw.standard_normal(len(padded)) * power * 10 ** (-draw.uniform(12, 40) / 20)
    whole = (padded + noise) * draw.uniform(0.1, 0.6)
    return (whole / max(1.0, float(np.abs(whole).max()))).astype(np.float32)


def several(words: Sequence[str], count: int, draw: np.random.Generator) -> list[str]:
    """Draw phrases of one to four words."""
    return [" ".join(draw.choice(words, draw.integers(1, 5)).tolist()) for _ in range(count)]
