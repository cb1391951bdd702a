"""The words that decide a class: how much less it is believed without each of them."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from itertools import islice
from typing import Any

from dlx.commands.explanation import Explanation
from dlx.core import Batch
from dlx.errors import one_line


class DecidingWords(Explanation):
    """Adds to every answer its `words`, each with the evidence that it gives.

    That is by how much the log-odds of the answer fall when the word is left out (weight of evidence, Robnik-Sikonja and
    Kononenko 2008): above 0 it speaks for the answer, below 0 against it. The model is asked once for every word, by batches.
    """

    def __init__(self, learner: Any, processor: Any) -> None:
        self.learner, self.processor = learner, processor

    def add(self, examples: Sequence[Any], batch: Batch, prediction: Batch, answers: list[dict[str, Any]]) -> None:
        """Leave out word after word of each text."""
        labels = prediction["label"].tolist()
        whole = log_odds(prediction["logits"], labels)
        for answer in answers:
            answer["words"] = []
        without = ((row, word, rest) for row, one in enumerate(examples) for word, rest in self.processor.parts(one))
        while some := list(islice(without, self.processor.batch_size)):
            odds = log_odds(self.logits([rest for _, _, rest in some]), [labels[row] for row, _, _ in some])
            for (row, word, _), left in zip(some, odds, strict=True):
                answers[row]["words"].append([word, whole[row] - left])

    @staticmethod
    def lines(answers: Iterator[dict[str, Any]]) -> Iterator[str]:
        """Write a line an answer: the class, its probability, and the words with their evidence, in colours on a terminal."""
        from rich.console import Console

        console = Console(highlight=False)
        for answer in answers:
            with console.capture() as captured:
                console.print(line(answer), soft_wrap=True, end="")
            yield captured.get()

    def logits(self, examples: list[Any]) -> Any:
        """Run the model on examples."""
        from dlx import core

        batch = core.to_device(self.processor.encode(examples), self.learner.device.device)
        with self.learner.device.autocast():
            return self.learner.task.predict(batch)["logits"]


def log_odds(logits: Any, labels: list[int]) -> list[float]:
    """Compute the log-odds (B,) of a class each, from logits (B, C)."""
    import torch

    wanted = torch.tensor(labels, device=logits.device)[:, None]
    others = logits.float().scatter(1, wanted, -torch.inf).logsumexp(1)
    odds: list[float] = (logits.float().gather(1, wanted)[:, 0] - others).tolist()
    return odds


def line(answer: Mapping[str, Any]) -> Any:
    """Word an answer: green speaks for it, red against it, bold is at least half as strong as the strongest."""
    from rich.text import Text

    label, most = answer["label"], max((abs(evidence) for _, evidence in answer["words"]), default=0.0)
    text = Text(f"{one_line(label)} {answer['probability'][label]:.2f}:")
    for word, evidence in answer["words"]:
        colour = "green" if evidence > 0 else "red"
        strong = abs(evidence) >= most / 2
        text.append("  ").append(f"{one_line(word)} {evidence:+.2f}", f"bold {colour}" if strong else colour)
    return text
