"""Answering a text with a text: translation and summarization."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from typing import Any, ClassVar

import torch
from pydantic import PositiveInt
from torch import Tensor, nn

from dlx.core import Batch, Shown, Table
from dlx.registry import tasks
from dlx.tasks.text.search import BEGIN, Decoding
from dlx.tasks.text.writer import NO_TARGET, ROWS, Smoothing, TextWriter, laid, numbers, shorter

OWN_WORDS = ("text", "reference")  # of a batch, for metrics and to look at
SENTENCE = re.compile(r".*?[.!?…](?=\s|$)", re.DOTALL)


class TextToText(TextWriter):
    """Learn each piece of the answer given the text and the pieces before it; predicts `output`, written by the model alone."""

    predicts = frozenset({"output", "log_probability", "tokens"})
    written_word, reads_previous = "output", True
    wanted_model = "a model that answers texts, such as transformer or recurrent_seq2seq"

    def __init__(
        self,
        model: nn.Module,
        processor: Any,
        target_vocab_size: int,
        max_target_length: int,
        seed: int,
        *,
        label_smoothing: Smoothing = 0.1,
        decoding: Decoding,
    ) -> None:
        super().__init__(model, processor, target_vocab_size, seed, label_smoothing, decoding)
        self.most = decoding.max_output_length or max_target_length - 1

    def given(self, batch: Batch) -> tuple[Batch, Tensor]:
        """Return the batch with the right pieces before each, and what should have come (B, T), -1 for nothing."""
        target = batch["target"]
        return {**batch, "previous": target[:, :-1].clamp_min(0)}, target[:, 1:]

    def scores_right(self, batch: Batch) -> bool:
        """Tell whether a batch has the right answers."""
        return "target" in batch

    def write(self, batch: Batch) -> Tensor:
        """Write answers (B, T)."""
        codes = batch["input"]
        token = torch.full((len(codes),), BEGIN, device=codes.device)
        return laid(self.search(self.model.begin(codes, batch["length"]), token, self.most, numbers(batch)), codes.device)

    def attention(self, batch: Batch, prediction: Batch) -> Tensor:
        """Tell where in the texts the answers' pieces came from (B, T, S): what the model looked at before it wrote each."""
        output = prediction["output"]
        previous = torch.cat((torch.full_like(output[:, :1], BEGIN), output[:, :-1].clamp_min(0)), 1)
        weights: Tensor = self.model.attention(batch["input"], previous, batch["length"])
        return weights

    def trivial(self, text: str) -> str:
        """Answer a text without having learned anything."""
        raise NotImplementedError

    def baseline(self, batch: Batch) -> Batch:
        """Answer trivially; of the right answer's pieces each is as likely as any other."""
        codes, _ = self.processor.targets([self.trivial(text) for text in batch["text"]])
        tokens = (batch["target"][:, 1:] != NO_TARGET).sum(1).float()
        return {
            "output": laid([one[1:] for one in codes], tokens.device), "tokens": tokens,
            "log_probability": -tokens * math.log(self.vocab_size),
        }  # fmt: skip

    def show(self, batch: Batch, prediction: Batch) -> Mapping[str, Shown]:
        """Write down texts, right answers and the model's."""
        written = [self.processor.detokenize(codes) for codes in prediction["output"][:ROWS].tolist()]
        rows = [
            [shorter(text), shorter(references[0]), shorter(output)]
            for text, references, output in zip(batch["text"], batch["reference"], written, strict=False)
        ]
        return {"examples": Table(("source", "reference", "output"), rows)}

    def remarks(self, scalars: Mapping[str, float]) -> Iterator[str]:
        """Warn of answers that do not end where they should."""
        ratio = scalars.get("val/length_ratio", 1.0)
        if not 0.5 < ratio < 2.0:
            yield f"the answers have {ratio:.2f} times the words of the right ones; the model has not learned where to end"

    def verify(self, batch: Batch) -> None:
        """Refuse a model whose output is not a row of logits for each piece."""
        self.refuse_unread({word: value for word, value in batch.items() if word not in OWN_WORDS})
        self.check_logits(batch)


@tasks("translation")
class Translation(TextToText):
    """Translate texts. What it must beat: the source, copied as it is."""

    default_metrics: ClassVar[tuple[str, ...]] = ("perplexity", "bleu", "chrf", "length_ratio")
    eval_metrics = ("perplexity", "bleu", "chrf", "rouge", "length_ratio")

    def trivial(self, text: str) -> str:
        """Copy the source."""
        return text


@tasks("summarization")
class Summarization(TextToText):
    """Summarize texts. What it must beat: their first sentence, or their first `lead` words."""

    default_metrics: ClassVar[tuple[str, ...]] = ("perplexity", "rouge", "length_ratio")
    eval_metrics = ("perplexity", "rouge", "length_ratio")

    def __init__(
        self,
        model: nn.Module,
        processor: Any,
        target_vocab_size: int,
        max_target_length: int,
        seed: int,
        *,
        label_smoothing: Smoothing = 0.1,
        lead: PositiveInt | None = None,
        decoding: Decoding,
    ) -> None:
        super().__init__(
            model, processor, target_vocab_size, max_target_length, seed, label_smoothing=label_smoothing, decoding=decoding
        )
        self.lead = lead

    def trivial(self, text: str) -> str:
        """Take the first words, or the first sentence."""
        if self.lead:
            return " ".join(text.split()[: self.lead])
        first = SENTENCE.match(text)
        return first[0] if first else text
