"""Going on with a text: language modelling."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from dlx.core import Batch, Shown, Table, shortened
from dlx.registry import tasks
from dlx.tasks.text.search import END, Decoding
from dlx.tasks.text.writer import NO_TARGET, ROWS, Smoothing, TextWriter, laid, numbers, shorter


@tasks("language_modeling")
class LanguageModeling(TextWriter):
    """Learn each piece of a text given the pieces before it.

    Predicts `continued`: a text that ends is begun with its first half, and one without an end is gone on with, by up to
    `max_output_length` pieces or the longest length of the data. What it must beat: every piece as likely as any other.
    """

    predicts = frozenset({"continued", "log_probability", "tokens"})
    default_metrics: ClassVar[tuple[str, ...]] = ("perplexity",)
    eval_metrics = ("perplexity",)
    written_word, reads_previous = "continued", False
    wanted_model = "a model that goes on with texts, such as transformer_decoder or recurrent_decoder"

    def __init__(
        self,
        model: nn.Module,
        processor: Any,
        vocab_size: int,
        input_shape: Sequence[int],
        seed: int,
        *,
        label_smoothing: Smoothing = 0.0,
        decoding: Decoding,
    ) -> None:
        super().__init__(model, processor, vocab_size, seed, label_smoothing, decoding)
        self.most = decoding.max_output_length or input_shape[0]

    def given(self, batch: Batch) -> tuple[Batch, Tensor]:
        """Return the texts without their last pieces, and the pieces behind each (B, T), -1 for nothing."""
        codes = batch["input"]
        steps = torch.arange(1, codes.shape[1], device=codes.device)
        wanted = codes[:, 1:].masked_fill(steps >= batch["length"][:, None], NO_TARGET)
        return {**batch, "input": codes[:, :-1]}, wanted

    def scores_right(self, batch: Batch) -> bool:
        """Tell whether a batch has a text longer than one piece."""
        return batch["input"].shape[1] > 1

    def write(self, batch: Batch) -> Tensor:
        """Go on with texts: (B, T), the given beginnings included; those of one length are read together."""
        codes, index = batch["input"], numbers(batch)
        given = beginnings(codes, batch["length"])
        written: list[list[int]] = [[] for _ in given]
        for length in given.unique().tolist():
            rows = (given == length).nonzero()[:, 0]
            known = codes[rows, :length]
            answers = self.search(self.model.begin(known[:, :-1]), known[:, -1], self.most, index[rows.to(index.device)])
            for row, before, answer in zip(rows.tolist(), known.tolist(), answers, strict=True):
                written[row] = [*before, *answer]
        return laid(written, codes.device)

    def baseline(self, batch: Batch) -> Batch:
        """Hold each piece as likely as any other, and write nothing."""
        tokens = (batch["length"] - 1).float()
        return {"continued": batch["input"][:, :1], "tokens": tokens, "log_probability": -tokens * math.log(self.vocab_size)}

    def show(self, batch: Batch, prediction: Batch) -> Mapping[str, Shown]:
        """Write down beginnings, how the model goes on, and how the texts do."""
        few = shortened(batch, ROWS)
        given = beginnings(few["input"], few["length"]).tolist()
        rows = [
            [shorter(self.processor.detokenize(codes)) for codes in (right[:length], written[length:], right[length:])]
            for right, length, written in zip(few["input"].tolist(), given, self.write(few).tolist(), strict=True)
        ]
        return {"examples": Table(("beginning", "continued", "as it was"), rows)}

    def verify(self, batch: Batch) -> None:
        """Refuse a model whose output is not a row of logits for each piece."""
        self.refuse_unread({word: value for word, value in batch.items() if word != "length"})
        self.check_logits(batch)


def beginnings(codes: Tensor, length: Tensor) -> Tensor:
    """Return how many pieces are given of each text (B,): half of one that ends, and all of one that does not."""
    last = codes.gather(1, length[:, None] - 1)[:, 0]
    return torch.where(last == END, (length // 2).clamp_min(1), length)
