"""Recordings with a transcript each."""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any

from dlx.data.speech.assembly import Wanted, divided, features_of, fitted, longest, source
from dlx.data.speech.clips import Recordings
from dlx.data.speech.options import Transcripts
from dlx.data.speech.source import SpeechSource
from dlx.data.speech.words import WordAugmentation
from dlx.errors import ComponentError, UsageError
from dlx.processors.speech.language_model import LanguageModel
from dlx.processors.speech.speech_to_text import SpeechToTextProcessor
from dlx.processors.speech.transcripts import Writing
from dlx.processors.text.lines import read_lines
from dlx.processors.tokenizers import fit_tokenizer

log = logging.getLogger("dlx")


def transcribed_source(wanted: Wanted, whole: Recordings, options: Transcripts) -> SpeechSource:
    """Make the data set; a transcript without words is refused, and one too long for its clip told."""
    parts, drawn = divided(whole, wanted, classes=False)
    kept = fitted(wanted.checkpoint.processor, SpeechToTextProcessor, wanted.features)
    if kept:
        refuse_other_language(kept, options)
    processor = kept or fit(parts["train"], wanted, options)
    refuse_empty(parts, processor)
    for split, part in parts.items():
        tell_too_short(split, part, processor)
    facts: dict[str, Any] = {"target_vocab_size": processor.tokenizer.size}
    changes = None
    if "train" in parts:
        train = [processor.normalize(clip.text) for clip in parts["train"].clips]
        facts["constant_target"] = processor.codes([typical(train)])[0]
        shares = {"shuffled": options.shuffle_words, "dropped": options.drop_words, "shortened": options.shorten_pauses}
        if any(shares.values()):
            changes = WordAugmentation(parts["train"], train, processor.codes, processor.rate, **shares)
    return source(wanted, parts, drawn, processor, processor.codes, facts, changes)


def fit(train: Recordings, wanted: Wanted, options: Transcripts) -> SpeechToTextProcessor:
    """Fit the processor to the training split."""
    writing = Writing(options.lowercase, options.punctuation)
    texts = [writing.normalize(clip.text) for clip in train.clips]
    tokenizer = fit_tokenizer(options.tokenizer, False, texts, options.vocabulary_size, 1)
    words = sorted({word for text in lines(options.word_list, texts, writing) for word in text.split()})
    order, further = options.language_model, options.language_text
    if further is not None and not order:
        raise ComponentError("wants language_model, the number of words that are judged together", ("language_text",))
    language = LanguageModel.fit(order, lines(further, texts, writing)) if order else None
    return SpeechToTextProcessor(
        features_of(train, wanted.features), longest(train, wanted.features), tokenizer, writing, words, language
    )


def lines(file: str | None, texts: Sequence[str], writing: Writing) -> Iterable[str]:
    """Return the lines of a file, normalised; without one, the texts."""
    return texts if file is None else (writing.normalize(line.text) for line in read_lines(file))


def refuse_other_language(kept: SpeechToTextProcessor, options: Transcripts) -> None:
    """Raise ComponentError where another language model is asked for than a checkpoint has learnt."""
    order = kept.language_model.order if kept.language_model else 0
    if order != options.language_model:
        raise ComponentError(f"was {order} in training, and is {options.language_model} now", ("language_model",))


def refuse_empty(parts: dict[str, Recordings], processor: SpeechToTextProcessor) -> None:
    """Raise UsageError where a transcript has nothing that could be said."""
    for part in parts.values():
        for clip in part.clips:
            if not processor.normalize(clip.text):
                raise UsageError(f"{clip.place}: has no transcript ({clip.text!r}); leave it out")


def tell_too_short(split: str, part: Recordings, processor: SpeechToTextProcessor) -> None:
    """Say how many clips have fewer steps than their transcripts have pieces, so that nobody could read those from them."""
    codes, steps = processor.codes(clip.text for clip in part.clips), processor.features.steps(part.samples)
    if short := [clip.place for clip, one, given in zip(part.clips, codes, steps, strict=True) if needed(one) > given]:
        log.warning("%s: %s clips are too short for their transcripts, such as %s", split, f"{len(short):,}", short[0])


def needed(codes: Sequence[int]) -> int:
    """Return the steps that a transcript takes: one a piece, and one between two that are equal."""
    return len(codes) + sum(one == other for one, other in itertools.pairwise(codes))


def typical(texts: Sequence[str]) -> str:
    """Return the most frequent transcript; of equally frequent ones that whose length is the middle one."""
    counts = Counter(texts)
    most = max(counts.values())
    frequent = sorted((text for text, count in counts.items() if count == most), key=lambda text: (len(text.split()), text))
    return frequent[len(frequent) // 2]
