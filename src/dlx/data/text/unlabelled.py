"""Texts without a class or an answer, to learn how texts go on: divided, encoded, and told apart from any others."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from dlx.core import Processor
from dlx.data.options import Checkpoint
from dlx.data.splits import chosen
from dlx.data.text.encoded import EncodedTexts
from dlx.data.text.options import LineOptions, SplitShares, TextBatching
from dlx.data.text.parts import digest, divide, tell_cut, tell_shared
from dlx.data.text.source import TextSource
from dlx.errors import UsageError
from dlx.processors.text.continued_text import ContinuedTextProcessor
from dlx.processors.tokenizers import fit_tokenizer


def unlabelled_source(
    seed: int,
    checkpoint: Checkpoint,
    given: Mapping[str, Sequence[str]],
    options: LineOptions,
    shares: SplitShares,
    batching: TextBatching,
) -> TextSource:
    """Make the data set from the splits that the data give; those not given are drawn from the training split."""
    parts, drawn = divide(given, shares, str, "text")
    tell_shared(parts, "text")
    processor = fitted(checkpoint.processor) or fit(parts["train"], options)
    wanted = chosen(parts, checkpoint)
    data = {split: encoded(part, processor, split) for split, part in wanted.items()}
    facts = {"input_shape": [processor.max_length], "vocab_size": processor.tokenizer.size, "padded": True}
    source = TextSource(seed, data, facts, processor, batching)
    source.digests = {split: digest([text] for text in part) for split, part in wanted.items()}
    source.drawn = frozenset(drawn)
    return source


def fitted(processor: Processor | None) -> ContinuedTextProcessor | None:
    """Return a checkpoint's processor; raises UsageError where it is for other texts."""
    if processor is not None and not isinstance(processor, ContinuedTextProcessor):
        raise UsageError(f"the checkpoint's processor, '{processor.name}', is not for texts to go on with")
    return processor


def fit(train: Sequence[str], options: LineOptions) -> ContinuedTextProcessor:
    """Fit the tokenizer to the training split."""
    tokenizer = fit_tokenizer(options.tokenizer, options.lowercase, train, options.vocabulary_size, options.least_count)
    return ContinuedTextProcessor(tokenizer, options.max_length)


def encoded(part: Sequence[str], processor: ContinuedTextProcessor, split: str) -> EncodedTexts:
    """Encode a split, and tell how many of its texts are cut."""
    codes, cut = processor.whole(part)
    tell_cut(split, cut, len(codes), "texts are cut to %s codes (max_length)", processor.max_length)
    return EncodedTexts(codes)
