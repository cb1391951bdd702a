"""Synthetic words and phrases, spoken by espeak-ng where that is installed."""

from __future__ import annotations

import shutil
import subprocess
from typing import Annotated

import numpy as np
from pydantic import Field, PositiveInt

from dlx.core import Source
from dlx.data.options import Checkpoint
from dlx.data.speech.assembly import Wanted
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
from dlx.errors import ComponentError, UsageError
from dlx.processors.speech.decoding import resampled
from dlx.processors.speech.features import FeatureOptions
from dlx.registry import sources

PROGRAM, RATE, HEADER = "espeak-ng", 22_050, 44
ACCENTS = ("en-us", "en-gb", "en-gb-scotland", "en-gb-x-rp", "en-029", "en-gb-x-gbclan", "en-gb-x-gbcwmd")
VARIANTS = ("m1", "f1", "m2", "f2", "m3", "f3", "m4", "f4", "m5", "f5", "m6", "m7", "m8")
Texts = Annotated[tuple[Annotated[str, Field(pattern=r"^[A-Za-z][A-Za-z' -]*$")], ...], Field(min_length=2)]
PHRASES = (
    "hello", "goodbye", "yes", "no", "stop", "go", "hello there", "good morning", "yes please", "no thank you", "please stop",
    "stop now", "go on", "go left", "go right", "do not go", "do not stop", "say hello", "say goodbye", "turn it on",
    "turn it off", "see you tomorrow", "what time is it", "hello and goodbye", "yes or no", "stop and go",
)  # fmt: skip


@sources("spoken_words")
def spoken_words(
    seed: int,
    checkpoint: Checkpoint,
    *,
    words: Texts = WORDS,
    voices: PositiveInt = 40,
    takes: PositiveInt = 5,
    split_seed: SplitSeed = 0,
    features: FeatureOptions,
    batching: AudioBatching,
    augmentation: AudioAugmentation,
    keywords: Keywords,
) -> Source:
    """Synthetic words spoken by espeak-ng, which must be installed: `voices` of several accents, pitches and speeds, in noise.

    Each voice says every word `takes` times, never alike; a fifth of the voices validate and a fifth test. No human speaks
    here: what is learned of them says little of real recordings.
    """
    wanted = Wanted(seed, checkpoint, features, AudioFiles(), AudioSplits(), batching, augmentation)
    whole = made(lambda draw: words * takes, voices, split_seed, features.sample_rate, speaker(voices, features.sample_rate))
    return labelled_source(wanted, whole, keywords)


@sources("spoken_phrases")
def spoken_phrases(
    seed: int,
    checkpoint: Checkpoint,
    *,
    phrases: Texts = PHRASES,
    mixed: bool = True,
    voices: PositiveInt = 40,
    takes: PositiveInt = 30,
    split_seed: SplitSeed = 0,
    features: FeatureOptions,
    batching: AudioBatching,
    augmentation: AudioAugmentation,
    transcripts: Transcripts,
) -> Source:
    """Synthetic phrases spoken by espeak-ng, which must be installed: each of `voices` says `takes` of them, drawn, in noise.

    With `mixed` every other one is one to four words of them in any order, so that words are to be heard and not phrases. A
    fifth of the voices validate and a fifth test. No human speaks here.
    """
    wanted = Wanted(seed, checkpoint, features, AudioFiles(), AudioSplits(), batching, augmentation)
    words = sorted({word for phrase in phrases for word in phrase.split()})

    def drawn(draw: np.random.Generator) -> list[str]:
        count = takes // 2 if mixed else 0
        return [*draw.choice(phrases, takes - count).tolist(), *several(words, count, draw)]

    whole = made(drawn, voices, split_seed, features.sample_rate, speaker(voices, features.sample_rate))
    return transcribed_source(wanted, whole, transcripts)


def speaker(voices: int, rate: int) -> Speak:
    """Return what speaks by espeak-ng; raises ComponentError where that is not installed."""
    if shutil.which(PROGRAM) is None:
        raise ComponentError(f"needs the program {PROGRAM}: apt-get install espeak-ng, or take synthetic_words")
    names = [f"{ACCENTS[number % len(ACCENTS)]}+{VARIANTS[number % len(VARIANTS)]}" for number in range(voices)]
    if voices > len(ACCENTS) * len(VARIANTS):
        raise ComponentError(f"are at most {len(ACCENTS) * len(VARIANTS)}", ("voices",))

    def speak(text: str, voice: int, draw: np.random.Generator) -> np.ndarray:
        speed, pitch = draw.integers(110, 220), draw.integers(20, 80)
        said = run([PROGRAM, "-v", names[voice], "-s", str(speed), "-p", str(pitch), "--stdout", "--", text])
        wave = resampled(np.frombuffer(said[HEADER:], "<i2").astype(np.float32), RATE, rate)
        return trimmed(wave / max(1.0, float(np.abs(wave).max())))

    return speak


def run(command: list[str]) -> bytes:
    """Run a program for what it writes; raises UsageError where it fails."""
    done = subprocess.run(command, capture_output=True, check=False)
    if done.returncode or len(done.stdout) <= HEADER:
        raise UsageError(f"{PROGRAM} failed: {done.stderr.decode(errors='replace').strip() or 'it wrote no sound'}")
    return done.stdout


def trimmed(wave: np.ndarray) -> np.ndarray:
    """Leave out the silence around a wave."""
    loud = np.flatnonzero(np.abs(wave) > 0.01)
    return wave[loud[0] : loud[-1] + 1] if len(loud) else wave
