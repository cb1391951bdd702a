"""Texts with an answer each, such as a translation or a summary: divided by source text, encoded, and told apart."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from dlx.core import Processor
from dlx.data.options import Checkpoint
from dlx.data.splits import draw
from dlx.data.text.encoded import EncodedPairs
from dlx.data.text.labelled import FRACTION
from dlx.data.text.options import PairOptions, PairSplits, TextBatching
from dlx.data.text.source import TextSource
from dlx.errors import ComponentError, UsageError
from dlx.processors.text.text_to_text import TextToTextProcessor
from dlx.processors.text.tokenizer import fit_tokenizer

log = logging.getLogger("dlx")


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
    splits: PairSplits,
    batching: TextBatching,
) -> TextSource:
    """Make the data set from the splits that the data give; those not given are drawn from the training split.

    Training takes every pair. Evaluation takes each source text once, against all its targets.
    """
    parts, drawn = divide(given, splits)
    tell_shared(parts)
    processor = fitted(checkpoint.processor) or fit(parts["train"], options)
    wanted = checkpoint.wanted_splits if checkpoint.processor else None
    chosen = {split: part for split, part in parts.items() if wanted is None or split in wanted}
    if not chosen:
        raise UsageError(f"the data has no split '{' or '.join(sorted(wanted or ()))}'; it has {', '.join(parts)}")
    data = {split: encoded(part, processor, split) for split, part in chosen.items()}
    facts = {
        "input_shape": [processor.source.max_length], "vocab_size": processor.source.tokenizer.size,
        "target_vocab_size": processor.target.size, "shared_vocabulary": processor.shared,
        "max_target_length": processor.max_target_length, "padded": True,
    }  # fmt: skip
    source = TextSource(seed, data, facts, processor, batching)
    source.digests = {split: digest(part) for split, part in chosen.items()}
    source.drawn = frozenset(drawn)
    return source


def fitted(processor: Processor | None) -> TextToTextProcessor | None:
    """Return a checkpoint's processor; raises UsageError where it answers with no texts."""
    if processor is not None and not isinstance(processor, TextToTextProcessor):
        raise UsageError(f"the checkpoint's processor, '{processor.name}', does not turn texts into texts")
    return processor


def fit(train: Pairs, options: PairOptions) -> TextToTextProcessor:
    """Fit the tokenizers to the training split."""

    def learned(texts: Sequence[str]):
        return fit_tokenizer(options.tokenizer, options.lowercase, texts, options.vocabulary_size, options.least_count)

    sources, targets = [pair.source for pair in train], [pair.target for pair in train]
    both = learned([*sources, *targets]) if options.shared_vocabulary else None
    source, target = (both, both) if both else (learned(sources), learned(targets))
    return TextToTextProcessor(source, target, options.max_length, options.max_target_length)


def encoded(part: Pairs, processor: TextToTextProcessor, split: str) -> EncodedPairs:
    """Encode a split, and tell how many of its texts are cut."""
    kept = part if split == "train" else once(part)
    sources, cut = processor.source.codes(pair.source for pair in kept)
    targets, cut_targets = processor.targets(pair.target for pair in kept)
    for count, what, most in (
        (cut, "source texts are cut to %s pieces (max_length)", processor.source.max_length),
        (cut_targets, "targets are cut to %s codes (max_target_length)", processor.max_target_length),
    ):
        if count:
            log.warning("%s: %s of %s " + what, split, f"{count:,}", f"{len(kept):,}", most)
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


def divide(given: Mapping[str, Pairs], splits: PairSplits) -> tuple[dict[str, Pairs], list[str]]:
    """Draw the splits that are not given from the training split; all pairs of a source text, whatever its case, stay together."""
    fractions = {split: share for split, share in (("val", splits.val), ("test", splits.test)) if share is not None}
    for split in fractions:
        if split in given:
            raise ComponentError(f"the data say which pairs are for {split}; leave it out", (split,))
    missing = [split for split in ("val", "test") if split not in given and fractions.get(split) != 0]
    if not missing:
        return dict(given), []
    train, groups = given["train"], dict[str, int]()
    numbers = [groups.setdefault(pair.source.casefold().strip(), len(groups)) for pair in train]
    shares = {split: fractions.get(split, FRACTION) if split in missing else 0.0 for split in ("val", "test")}
    where = [""] * len(groups)
    for split, members in draw(len(groups), shares["val"], shares["test"], splits.split_seed, unit="source text").items():
        for group in members:
            where[group] = split
    parts = {
        split: [pair for pair, n in zip(train, numbers, strict=True) if where[n] == split] for split in ("train", *missing)
    }
    return {**given, **parts}, missing


def tell_shared(parts: Mapping[str, Pairs]) -> None:
    """Say how many source texts and targets of validation and test stand in the training split too."""
    sources = {pair.source.casefold().strip() for pair in parts["train"]}
    targets = {pair.target for pair in parts["train"]}
    for split in ("val", "test"):
        part = parts.get(split, ())
        if same := [pair.source for pair in part if pair.source.casefold().strip() in sources]:
            log.warning(
                "%s: %s source texts stand in the training split too, such as %r", split, f"{len(same):,}", same[0][:60]
            )
        if same := [pair.target for pair in part if pair.target in targets]:
            log.info("%s: %s targets stand in the training split too, such as %r", split, f"{len(same):,}", same[0][:60])


def digest(part: Pairs) -> str:
    """Return what tells these pairs, in this order, from any others."""
    found = hashlib.blake2b(digest_size=16)
    for pair in part:
        texts = (pair.source, pair.target, *pair.references)
        found.update((",".join(str(len(text)) for text in texts) + ":" + "".join(texts)).encode("utf-8", "surrogatepass"))
    return found.hexdigest()
