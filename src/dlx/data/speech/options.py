"""Settings that all data sets of recordings share."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Literal

from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt

from dlx.data.splits import Fraction, SplitSeed
from dlx.processors.tokenizer import Kind
from dlx.registry.types import DataPath, OptionGroup

OnBad = Literal["error", "skip"]
Share = Annotated[float, Field(ge=0, le=1)]


@dataclass(frozen=True)
class AudioFiles(OptionGroup):
    """What becomes of files: none may be longer than `max_seconds`; those that cannot be used are reported together.

    Decoded waves are kept in the folder `cache` where one is given, and read from there a batch at a time, so that a set
    may be larger than memory.
    """

    max_seconds: PositiveFloat = 20.0
    on_bad: OnBad = "error"
    cache: str | None = None


@dataclass(frozen=True)
class AudioBatching(OptionGroup):
    """How many clips a training batch has, and how many seconds, padding counted: as many as neither forbids.

    Without both, 32 clips make a batch; with `seconds_per_batch` alone their number is free.
    """

    batch_size: PositiveInt | None = None
    seconds_per_batch: PositiveFloat | None = None


@dataclass(frozen=True)
class AudioSplits(OptionGroup):
    """What the data do not say of their splits: shares drawn by `split_seed`, of speakers with `by_speaker`, else of clips.

    `val_speakers` and `test_speakers` name the speakers of a split instead, who stand in no other.
    """

    val: Fraction | None = None
    test: Fraction | None = None
    split_seed: SplitSeed = 0
    by_speaker: bool = False
    val_speakers: tuple[str, ...] = ()
    test_speakers: tuple[str, ...] = ()


@dataclass(frozen=True)
class AudioAugmentation(OptionGroup):
    """Changes to training clips, drawn anew for each clip and epoch.

    Of waves: moved by up to `time_shift` seconds, played by up to the share `speed` faster or slower, louder or softer by up
    to `gain` decibels, and with probability `noise` mixed with noise, at a signal-to-noise ratio from `noise_ratio` decibels:
    a part of a file below `noise_folder`, or white noise. Of features (SpecAugment, Park et al. 2019): `time_masks` of up to
    `time_mask` steps and `frequency_masks` of up to `frequency_mask` features, set to 0.
    """

    time_shift: NonNegativeFloat = 0.0
    speed: Annotated[float, Field(ge=0, lt=0.5)] = 0.0
    gain: NonNegativeFloat = 0.0
    noise: Share = 0.0
    noise_ratio: tuple[float, float] = (5.0, 30.0)
    noise_folder: DataPath | None = None
    time_masks: NonNegativeInt = 0
    time_mask: PositiveInt = 10
    frequency_masks: NonNegativeInt = 0
    frequency_mask: PositiveInt = 8


@dataclass(frozen=True)
class Keywords(OptionGroup):
    """The words to be spotted: clips of all others are of the class `unknown`.

    `silence_share` adds clips of no speech, of the class `silence`: so many for each other clip, faint noise made by rule.
    """

    keywords: tuple[str, ...] | None = None
    silence_share: Share = 0.0


@dataclass(frozen=True)
class Transcripts(OptionGroup):
    """How transcripts are written and cut into pieces; `word_list` is a file of the words that a decoder may be held to.

    Without a file these are the words of the training split. `language_model` is how many words, the last included, a decoder
    may judge together, 0 for none; it learns from the lines of the file `language_text`, or from the training transcripts.
    With probability `shuffle_words` a training clip is heard with its words in another order, cut in its pauses: for words
    that may stand in any order, such as digits. With probability `drop_words` only some of its words are heard, from one to all.
    Up to the share `shorten_pauses` of each pause between words is cut out.
    """

    tokenizer: Kind = "characters"
    lowercase: bool = True
    punctuation: bool = False
    vocabulary_size: PositiveInt = 1000
    word_list: DataPath | None = None
    shuffle_words: Share = 0.0
    drop_words: Share = 0.0
    shorten_pauses: Share = 0.0
    language_model: Annotated[int, Field(ge=0, le=6)] = 0
    language_text: DataPath | None = None
