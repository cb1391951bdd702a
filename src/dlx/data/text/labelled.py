"""Texts with a class each: divided, encoded, and told apart from any others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch

from dlx.core import Processor
from dlx.data.options import Checkpoint
from dlx.data.splits import chosen, draw
from dlx.data.text.encoded import EncodedTexts
from dlx.data.text.options import TextBatching, TextOptions, TextSplits
from dlx.data.text.parts import FRACTION, digest, tell_cut, tell_shared
from dlx.data.text.source import TextSource
from dlx.errors import ComponentError, UsageError
from dlx.processors.labels import distinct
from dlx.processors.text.processor import TextProcessor
from dlx.processors.tokenizers import fit_tokenizer


@dataclass(frozen=True)
class Labelled:
    """Texts, their labels, and the split of each where the data say so."""

    texts: Sequence[str]
    labels: Sequence[str]
    splits: Sequence[str] | None = None

    def taken(self, rows: Sequence[int]) -> Labelled:
        """Return some of them."""
        return Labelled([self.texts[row] for row in rows], [self.labels[row] for row in rows])


def labelled_source(
    seed: int, kept: Checkpoint, whole: Labelled, options: TextOptions, splits: TextSplits, batching: TextBatching
) -> TextSource:
    """Make the data set: a text stands in one split only, and the processor is fitted on the training split."""
    rows = divide(whole, splits)
    tell_shared({split: [whole.texts[row] for row in found] for split, found in rows.items()}, "text", str)
    parts = {split: whole.taken(found) for split, found in rows.items() if len(found)}
    wanted = chosen(parts, kept)
    processor = fitted(kept.processor) or fit(parts["train"], options)
    data = {split: encoded(part, processor, split) for split, part in wanted.items()}
    names = processor.target.names
    facts = {
        "input_shape": [processor.encoder.max_length], "vocab_size": processor.encoder.tokenizer.size, "num_classes": len(names),
        "class_names": names, "padded": True,
    }  # fmt: skip
    if "train" in data:
        facts["class_counts"] = torch.bincount(data["train"].classes, minlength=len(names)).tolist()
    source = TextSource(seed, data, facts, processor, batching)
    source.digests = {split: digest(zip(part.texts, part.labels, strict=True)) for split, part in wanted.items()}
    source.drawn = frozenset(rows) - {"train"} if whole.splits is None else frozenset()
    return source


def fitted(processor: Processor | None) -> TextProcessor | None:
    """Return a checkpoint's processor; raises UsageError where it reads no texts."""
    if processor is not None and not isinstance(processor, TextProcessor):
        raise UsageError(f"the checkpoint's processor, '{processor.name}', reads no texts")
    return processor


def fit(train: Labelled, options: TextOptions) -> TextProcessor:
    """Fit the processor to the training split."""
    names = distinct(set(train.labels))
    if len(names) < 2:
        raise UsageError(f"the training split holds one class only: {names[0]!r}")
    tokenizer = fit_tokenizer(options.tokenizer, options.lowercase, train.texts, options.vocabulary_size, options.least_count)
    return TextProcessor(tokenizer, options.max_length, names)


def encoded(part: Labelled, processor: TextProcessor, split: str) -> EncodedTexts:
    """Encode a split, and tell how many of its texts are cut."""
    numbers = {name: number for number, name in enumerate(processor.target.names)}
    if strange := [label for label in dict.fromkeys(part.labels) if label not in numbers]:
        raise UsageError(f"the {split} split has a class that the training split has not: {strange[0]!r}")
    codes, cut = processor.encoder.codes(part.texts)
    tell_cut(split, cut, len(codes), "texts are cut to %s pieces (max_length)", processor.encoder.max_length)
    return EncodedTexts(codes, torch.tensor([numbers[label] for label in part.labels]))


def divide(whole: Labelled, splits: TextSplits) -> Mapping[str, Sequence[int]]:
    """Find the rows of each split: by the data's own word, by folds, or drawn; equal texts stay together."""
    if whole.splits is not None:
        if (splits.val, splits.test, splits.fold) != (None, None, None):
            raise ComponentError("the data say which split a text is in; leave out val, test and fold", ("val",))
        own = np.array(whole.splits)
        return {split: np.flatnonzero(own == split).tolist() for split in ("train", "val", "test")}
    firsts: dict[str, int] = {}
    groups = np.array([firsts.setdefault(text, len(firsts)) for text in whole.texts])
    labels = [""] * len(firsts)
    for text, label in zip(whole.texts, whole.labels, strict=True):
        labels[firsts[text]] = label
    parts = folded(labels, splits) if splits.fold is not None else drawn(labels, splits)
    return {split: np.flatnonzero(np.isin(groups, numbers)).tolist() for split, numbers in parts.items()}


def drawn(labels: Sequence[str], splits: TextSplits) -> Mapping[str, Sequence[int]]:
    """Draw validation and test texts, every class keeping its share."""
    val, test = (FRACTION if share is None else share for share in (splits.val, splits.test))
    return draw(len(labels), val, test, splits.split_seed, labels, "text")


def folded(labels: Sequence[str], splits: TextSplits) -> Mapping[str, Sequence[int]]:
    """Take one of several equal parts for testing, and draw the validation texts from the others."""
    from sklearn.model_selection import StratifiedKFold

    if splits.test is not None:
        raise ComponentError("a fold is the test split; leave test out", ("test",))
    assert splits.fold is not None
    if splits.fold >= splits.folds:
        raise ComponentError(f"folds are numbered from 0 to {splits.folds - 1}", ("fold",))
    if min(Counter(labels).values()) < splits.folds:
        raise ComponentError(f"a class has fewer texts than there are folds, {splits.folds}", ("folds",))
    cut = StratifiedKFold(splits.folds, shuffle=True, random_state=splits.split_seed).split(labels, labels)
    rest, test = list(cut)[splits.fold]
    val = FRACTION if splits.val is None else splits.val
    inner = draw(len(rest), val, 0.0, splits.split_seed, [labels[row] for row in rest], "text")
    return {"test": test.tolist(), **{split: rest[rows].tolist() for split, rows in inner.items()}}
