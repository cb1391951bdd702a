"""Synthetic words and phrases, spoken by rule: nothing is read, downloaded or installed."""

from __future__ import annotations

import numpy as np
from pydantic import PositiveInt

from dlx.core import Source
from dlx.data.options import Checkpoint
from dlx.data.speech.assembly import Wanted
from dlx.data.speech.formants import Voice, spoken
from dlx.data.speech.labelled import labelled_source
from dlx.data.speech.made import WORDS, Speak, made, several
from dlx.data.speech.options import (
    AudioAugmentation,
    AudioBatching,
    AudioFiles,
    AudioSplits,
    Keywords,
    Transcripts,
)
from dlx.data.speech.transcribed import transcribed_source
from dlx.data.splits import SplitSeed
from dlx.processors.speech.features import FeatureOptions
from dlx.registry import sources


@sources("synthetic_words")
def synthetic_words(
    seed: int,
    checkpoint: Checkpoint,
    *,
    voices: PositiveInt = 20,
    takes: PositiveInt = 4,
    split_seed: SplitSeed = 0,
    features: FeatureOptions,
    batching: AudioBatching,
    augmentation: AudioAugmentation,
    keywords: Keywords,
) -> Source:
    """Synthetic words made by rule: hello, goodbye, yes, no, stop, go, as harmonics below resonances, in noise.

    Each of `voices` says every word `takes` times, never alike; a fifth of the voices validate and a fifth test. No human
    speaks here: what is learned of them says little of real recordings. Nothing is read or downloaded.
    """
    wanted = Wanted(seed, checkpoint, features, AudioFiles(), AudioSplits(), batching, augmentation)
    speak = speaker(split_seed, voices, features.sample_rate)
    whole = made(lambda draw: WORDS * takes, voices, split_seed, features.sample_rate, speak)
    return labelled_source(wanted, whole, keywords)


@sources("synthetic_phrases")
def synthetic_phrases(
    seed: int,
    checkpoint: Checkpoint,
    *,
    voices: PositiveInt = 20,
    takes: PositiveInt = 20,
    split_seed: SplitSeed = 0,
    features: FeatureOptions,
    batching: AudioBatching,
    augmentation: AudioAugmentation,
    transcripts: Transcripts,
) -> Source:
    """Synthetic phrases made by rule: one to four of the words of synthetic_words, with short pauses, in noise.

    Each of `voices` says `takes` phrases; a fifth of the voices validate and a fifth test. No human speaks here.
    """
    wanted = Wanted(seed, checkpoint, features, AudioFiles(), AudioSplits(), batching, augmentation)
    speak = speaker(split_seed, voices, features.sample_rate)
    whole = made(lambda draw: several(WORDS, takes, draw), voices, split_seed, features.sample_rate, speak)
    return transcribed_source(wanted, whole, transcripts)


def speaker(seed: int, voices: int, rate: int) -> Speak:
    """Draw voices, high and low ones by turns, and return what speaks by them."""
    draw = np.random.default_rng([seed, voices, 1])
    known = [
        Voice(
            draw.uniform(90, 150) if number % 2 else draw.uniform(160, 260),
            draw.uniform(0.85, 1.0) if number % 2 else draw.uniform(1.0, 1.2),
            draw.uniform(0.8, 1.25),
            draw.uniform(0.0, 0.05),
        )
        for number in range(voices)
    ]

    def speak(text: str, voice: int, draw: np.random.Generator) -> np.ndarray:
        parts = []
        for word in text.split():
            pause = np.zeros(int(rate * draw.uniform(0.03, 0.2)), np.float32)
            parts += [spoken(word, known[voice], rate, draw), pause]
        return np.concatenate(parts[:-1])

    return speak
