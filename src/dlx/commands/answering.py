"""A stream of examples to answers: batches of examples of about one length, whose answers come in the order of the inputs."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from pathlib import Path
from typing import Any

from dlx.errors import DlxError, UsageError


class Answering:
    """Answers examples, a window of batches at a time.

    `explain(examples, batch, prediction, answers)` adds to answers why they are given; `output` is a folder for the files that
    answers consist of.
    """

    def __init__(self, learner: Any, processor: Any, explain: Callable[..., None] | None, output: Path | None) -> None:
        self.learner, self.processor, self.explain, self.output = learner, processor, explain, output
        self.given = 0  # answers that came out

    def all(self, examples: Iterable[Any]) -> Iterator[dict[str, Any]]:
        """Yield an answer an example, in their order; memory holds one window."""
        from dlx.engine import evaluator

        stream, read = iter(examples), 0
        with evaluator.evaluating(self.learner.task, self.learner.device, self.learner.seed), telling(lambda: self.given):
            while window := list(islice(stream, self.processor.window * self.processor.batch_size)):
                for answer in self.window(window, read):
                    self.given += 1
                    yield answer
                read += len(window)

    def window(self, examples: list[Any], start: int) -> list[dict[str, Any]]:
        """Answer examples, the longest first, and give the answers in order; `start` examples came before.

        Without a processor that skips there are as many answers an example as it gives.
        """
        answers = {place: [found] for place, one in enumerate(examples) if (found := self.processor.blank(one)) is not None}
        asked = [place for place in range(len(examples)) if place not in answers]
        each = self.processor.answers
        asked.sort(key=lambda place: -self.processor.length(examples[place]))  # equal lengths stay in order
        for first in range(0, len(asked), self.processor.batch_size):
            places = asked[first : first + self.processor.batch_size]
            found = self.batch([examples[place] for place in places], [start + place for place in places])
            rows = [found[row : row + each] for row in range(0, len(found), each)]
            answers |= dict(zip(places, rows, strict=not self.processor.skip_bad))
        return [answer for place in sorted(answers) for answer in answers[place]]

    def batch(self, examples: list[Any], numbers: list[int]) -> list[dict[str, Any]]:
        """Answer examples, numbered from 0, of one batch."""
        import torch

        from dlx import core

        built, encoded = self.learner, self.processor.encode(examples)
        if self.processor.skip_bad:
            if not len(encoded["input"]):
                return []
        else:  # what is drawn by lot depends on the number, not on the batch
            encoded = {**encoded, "index": torch.tensor(numbers)}
        batch = core.to_device(encoded, built.device.device)
        with built.device.autocast():
            prediction = built.task.predict(batch)
        if (row := infinite(prediction)) is not None:
            place = self.processor.place(examples[row]) or f"answer {numbers[row] + 1}"
            raise DlxError(f"{place}: the model's answer is no finite number; its weights may have diverged")
        answers: list[dict[str, Any]] = self.processor.decode(prediction)
        if self.output is not None:
            self.processor.write(answers, prediction, self.output)
        if self.explain:
            self.explain(examples, batch, prediction, answers)
        return answers


@contextlib.contextmanager
def telling(given: Callable[[], int]) -> Iterator[None]:
    """Add to an error how many answers came before it, since they look like all there are."""
    try:
        yield
    except DlxError as error:
        if not given():
            raise
        kind = UsageError if isinstance(error, UsageError) else DlxError
        raise kind(f"{error}\n{given():,} answer{'s' * (given() > 1)} had been printed before") from None


def infinite(prediction: Mapping[str, Any]) -> int | None:
    """Return the first row whose value, probability or action is no finite number."""
    for word in ("value", "probability", "action", "action_value", "action_probability"):
        if word in prediction and not prediction[word].isfinite().all():
            return int((~prediction[word].isfinite()).flatten(1).any(1).nonzero()[0])
    return None
