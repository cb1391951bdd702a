"""What data sets and processors promise."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from torch import Tensor

from dlx import registry
from dlx.core import Processor, Source
from dlx.testing.common import as_json, same

WORDS = frozenset((
    "input", "category", "target", "index", "length", "reference", "text", "previous", "mask", "box", "label", "features", "known",
    "action", "log_probability", "value", "advantage", "return", "reward", "discount", "next_input", "weight",
    "episode_return", "episode_length", "success",
    "box_label", "crowd", "size", "place",
))  # fmt: skip


def check_source(make: Callable[..., Source], *, words: Iterable[str] = WORDS) -> None:
    """Check a data set; `make` builds it, anew each time, with more facts by name, such as a checkpoint's `processor`.

    Batches have words of the glossary and an epoch has as many as it says; the facts are JSON; evaluating twice is the same;
    a training that is resumed in mid-epoch goes on as if it had not stopped; every split has a digest, and the processor
    that a checkpoint keeps gives the same batches as the one fitted.
    """
    source = make()
    as_json(dict(source.facts), "the facts of a data set")
    epoch = list(itertools.islice(source.train(None), (source.batches_per_epoch or 8) + 1))
    assert epoch, "the training split yields no batch"
    strange = set().union(*epoch) - set(words)
    assert not strange, f"a batch has the word '{sorted(strange)[0]}', which the glossary does not know"
    if source.batches_per_epoch is not None:
        assert len(epoch) == source.batches_per_epoch, (
            f"says {source.batches_per_epoch} batches an epoch, and gives {len(epoch)}"
        )
    _twice(make(), epoch)
    _resumed(make, epoch)
    for split in source.splits():
        first, second = list(source.evaluate(None, split)), list(source.evaluate(None, split))
        assert first, f"the split '{split}' yields no batch"
        assert same(first, second), f"the split '{split}' is another one the second time"
        assert not source.digests or split in source.digests, f"the split '{split}' has no digest"
    if source.processor is not None:
        _kept(make, source)


def _twice(other: Source, epoch: Sequence[Mapping[str, Any]]) -> None:
    again = list(itertools.islice(other.train(None), len(epoch)))
    assert same(again, list(epoch)), "two data sets of one seed yield different batches; draw by a generator of the seed"


def _resumed(make: Callable[..., Source], epoch: Sequence[Mapping[str, Any]]) -> None:
    stopped, middle = make(), len(epoch) // 2
    list(itertools.islice(stopped.train(None), middle))
    state = stopped.state_dict()
    state = state if stopped.keeps_tensors else as_json(state, "the state of a data set")
    goes_on = make()
    goes_on.load_state_dict(state)
    rest = list(itertools.islice(goes_on.train(None), len(epoch) - middle))
    assert same(rest, list(epoch[middle:])), "a training resumed in mid-epoch gets other batches than one that went on"


def _kept(make: Callable[..., Source], source: Source) -> None:
    processor = source.processor
    assert processor is not None
    assert processor.name in registry.processors, f"the processor '{processor.name}' is not registered"
    cls: Any = registry.processors.get(processor.name)
    restored = cls.from_state(as_json(processor.state_dict(), "the state of a processor"))
    again = make(processor=restored)
    for split in source.splits():
        first, second = list(source.evaluate(None, split)), list(again.evaluate(None, split))
        assert same(first, second, 1e-6), f"the processor that a checkpoint keeps gives another '{split}' split"


def check_processor(processor: Processor, examples: Sequence[Any], prediction: Mapping[str, Tensor] | None = None) -> None:
    """Check a processor on raw examples, and on a prediction where there is one.

    It is made again from its JSON state and encodes the same; an example alone is encoded as in a batch, but for padding; the
    answers in words are JSON, one a sample, or as many as it says.
    """
    cls: Any = registry.processors.get(processor.name)
    again: Processor = cls.from_state(as_json(processor.state_dict(), "the state of a processor"))
    whole = processor.encode(list(examples))
    assert same(again.encode(list(examples)), whole), "made again from its state, it encodes otherwise"
    assert as_json(again.state_dict(), "the state") == as_json(processor.state_dict(), "the state"), (
        "its state changes on the way"
    )
    for row, example in enumerate(examples):
        for word, value in processor.encode([example]).items():
            if isinstance(value, Tensor) and value.ndim:
                within = whole[word][row][tuple(slice(0, size) for size in value.shape[1:])]
                assert same(value[0], within, 1e-6), f"example {row} alone has another '{word}' than in a batch"
    if prediction is not None:
        answers = as_json(processor.decode(prediction), "an answer")
        wanted = processor.answers * len(next(iter(prediction.values())))
        assert len(answers) == wanted, f"gives {len(answers)} answers, not {processor.answers} a sample"
        if processor.line:
            assert all(isinstance(answer[processor.line], str) for answer in answers), f"'{processor.line}' is not a text"
