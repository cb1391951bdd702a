"""Texts with an answer each, such as a translation or a summary: divided by source text, encoded, and told apart."""

from __future__ import annotations

import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dlx.core import Processor
from dlx.data.options import Checkpoint
from dlx.data.splits import chosen
from dlx.data.text.encoded import EncodedPairs
from dlx.data.text.options import PairOptions, SplitShares, TextBatching
from dlx.data.text.parts import digest, divide, tell_cut, tell_shared
from dlx.data.text.source import TextSource
from dlx.errors import UsageError
from dlx.processors.text.text_to_text import TextToTextProcessor
from dlx.processors.tokenizers import fit_tokenizer


@dataclass(frozen=True)
class Pair:
    """A text, an answer, and all answers that are right, where the data give more than one."""

    source: str
    target: str
    references: tuple[str, ...] = ()


Pairs = Sequence[Pair]


def pair_source(
    seed: int,
    checkpoint: Checkpoint,
    given: Mapping[str, Pairs],
    options: PairOptions,
    shares: SplitShares | None,
    batching: TextBatching,
) -> TextSource:
    """Make the data set from the splits that the data give; those not given are drawn from the training split by shares.

    Training takes every pair. Evaluation takes each source text once, against all its targets.
    """
    parts, drawn = divide(given, shares, lambda pair: pair.source, "source text")
    tell_shared({split: [pair.source for pair in part] for split, part in parts.items()}, "source text")
    tell_shared({split: [pair.target for pair in part] for split, part in parts.items()}, "target", str, logging.INFO)
    wanted = chosen(parts, checkpoint)
    processor = fitted(checkpoint.processor) or fit(parts["train"], options)
    data = {split: encoded(part, processor, split) for split, part in wanted.items()}
    facts = {
        "input_shape": [processor.source.max_length], "vocab_size": processor.source.tokenizer.size,
        "target_vocab_size": processor.target.size, "shared_vocabulary": processor.shared,
        "max_target_length": processor.max_target_length, "padded": True,
    }  # fmt: skip
    source = TextSource(seed, data, facts, processor, batching)
    source.digests = {
        split: digest((pair.source, pair.target, *pair.references) for pair in part) for split, part in wanted.items()
    }
    source.drawn = frozenset(drawn)
    return source


def fitted(processor: Processor | None) -> TextToTextProcessor | None:
    """Return a checkpoint's processor; raises UsageError where it answers with no texts."""
    if processor is not None and not isinstance(processor, TextToTextProcessor):
        raise UsageError(f"the checkpoint's processor, '{processor.name}', does not turn texts into texts")
    return processor


def fit(train: Pairs, options: PairOptions) -> TextToTextProcessor:
    """Fit the tokenizers to the training split."""

    source_alone = options.lowercase == "source"

    def learned(texts: Sequence[str]):
        lowercase = False if options.lowercase == "source" else options.lowercase
        return fit_tokenizer(options.tokenizer, lowercase, texts, options.vocabulary_size, options.least_count)

    sources, targets = [pair.source for pair in train], [pair.target for pair in train]
    sources = [text.lower() for text in sources] if source_alone else sources
    both = learned([*sources, *targets]) if options.shared_vocabulary else None
    source, target = (both, both) if both else (learned(sources), learned(targets))
    return TextToTextProcessor(source, target, options.max_length, options.max_target_length, source_alone)


def encoded(part: Pairs, processor: TextToTextProcessor, split: str) -> EncodedPairs:
    """Encode a split, and tell how many of its texts are cut."""
    kept = part if split == "train" else once(part)
    sources, cut = processor.source.codes(pair.source for pair in kept)
    targets, cut_targets = processor.targets(pair.target for pair in kept)
    tell_cut(split, cut, len(kept), "source texts are cut to %s pieces (max_length)", processor.source.max_length)
    tell_cut(split, cut_targets, len(kept), "targets are cut to %s codes (max_target_length)", processor.max_target_length)
    return EncodedPairs(sources, targets, [p.source for p in kept], [list(p.references or (p.target,)) for p in kept])


def once(part: Pairs) -> list[Pair]:
    """Return each source text once, with its first target, and with all of its targets as references."""
    found: dict[str, list[Pair]] = {}
    for pair in part:
        found.setdefault(pair.source, []).append(pair)
    return [
        Pair(source, pairs[0].target, tuple(dict.fromkeys(r for pair in pairs for r in (pair.references or (pair.target,)))))
        for source, pairs in found.items()
    ]
