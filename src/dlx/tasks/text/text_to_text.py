"""Answering a text with a text: translation and summarization."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator, Mapping
from functools import partial
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field, PositiveInt
from torch import Tensor, nn

from dlx.core import Batch, Decoder, Loss, Penalized, Shown, Table, Task
from dlx.errors import ComponentError
from dlx.registry import tasks
from dlx.tasks.deferred import Deferred, in_present_precision
from dlx.tasks.text.search import Decoding, search

ROWS, WIDTH = 10, 70  # of the table of examples
NO_TARGET = -1
SCORED = ("log_probability", "tokens", "loss")
OWN_WORDS = ("text", "reference")  # of a batch, for metrics and to look at
SENTENCE = re.compile(r".*?[.!?…](?=\s|$)", re.DOTALL)
Smoothing = Annotated[float, Field(ge=0, lt=1)]


class TextToText(Task):
    """Learn each piece of the answer given the text and the pieces before it; the loss is a mean over pieces.

    A prediction has `output` int64 (B, T), written by the model alone, END at its end and -1 behind it, and of the right answer
    `log_probability` (B,) and `tokens` (B,), END counted. Nothing is written that nobody reads.
    """

    predicts = frozenset({"output", "log_probability", "tokens"})
    model: Any

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
        super().__init__(model)
        if not isinstance(model, Decoder) or "previous" not in self.words:
            raise ComponentError("wants a model that writes texts, such as transformer or recurrent_seq2seq")
        self.processor, self.seed, self.label_smoothing, self.decoding = processor, seed, label_smoothing, decoding
        self.penalized = isinstance(model, Penalized)
        self.vocab_size, self.most = target_vocab_size, decoding.max_output_length or max_target_length - 1

    def read(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
        """Run the model on the right answers: logits (B, T, V), what should have come (B, T), -1 for nothing, and penalties."""
        given = {**batch, "previous": batch["target"][:, :-1].clamp_min(0)}
        wanted = batch["target"][:, 1:]
        if not self.penalized:
            return self.run(given), wanted, None
        logits, penalty = self.model.penalized(**{word: given[word] for word in self.words if word in given})
        return logits, wanted, None if penalty is None else penalty * (wanted != NO_TARGET)

    def forward(self, batch: Batch) -> Loss:
        """Compute the mean loss of the pieces."""
        logits, wanted, penalty = self.read(batch)
        value = F.cross_entropy(
            logits.flatten(0, 1), wanted.flatten(), ignore_index=NO_TARGET, label_smoothing=self.label_smoothing
        )
        tokens = (wanted != NO_TARGET).sum()
        if penalty is None:
            return Loss(value, tokens)
        own = penalty.sum() / tokens
        return Loss(value + own, tokens, scalars={"penalty": own.detach()})

    def predict(self, batch: Batch) -> Batch:
        """Answer a batch, once something reads the answers, and score the right ones where they are given."""
        kind = batch["input"].device.type
        words = {"output": in_present_precision(lambda: self.write(batch), kind)}
        if "target" in batch:
            scored = Deferred({"all": in_present_precision(lambda: self.scored(batch), kind)})
            words |= {word: partial(lambda n: scored["all"][n], n) for n, word in enumerate(SCORED)}
        return Deferred(words)

    def scored(self, batch: Batch) -> Tensor:
        """Compute the right answers' log-probability, number of pieces, and loss: (3, B)."""
        logits, wanted, penalty = self.read(batch)
        scores, inside = logits.float().log_softmax(-1), wanted != NO_TARGET
        right = scores.gather(2, wanted.clamp_min(0)[:, :, None])[:, :, 0] * inside
        loss = -(1 - self.label_smoothing) * right - self.label_smoothing * scores.mean(-1) * inside
        loss = loss if penalty is None else loss + penalty
        return torch.stack((right.sum(1), inside.sum(1).to(right.dtype), loss.sum(1)))

    def score(self, prediction: Batch, batch: Batch) -> Loss:
        """Compute the loss of a prediction, as training does."""
        tokens = prediction["tokens"].sum()
        return Loss(prediction["loss"].sum() / tokens, tokens)

    def write(self, batch: Batch) -> Tensor:
        """Write answers (B, T)."""
        codes, draws = batch["input"], None
        if self.decoding.sample:
            draws = lots(self.seed, batch.get("index", torch.arange(len(codes))).tolist(), self.most).to(codes.device)
        state = self.model.begin(codes, batch["length"])
        return laid(search(self.model, state, len(codes), self.most, self.decoding, draws, codes.device), codes.device)

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
        logits, wanted, _ = self.read(batch)
        if logits.shape != (*wanted.shape, self.vocab_size):
            raise ComponentError(f"gives an output of shape {tuple(logits.shape)}, not {(*wanted.shape, self.vocab_size)}")


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


def lots(seed: int, numbers: list[int], most: int) -> Tensor:
    """Draw numbers from 0 to 1 (B, most) that follow from the seed and the samples' numbers alone."""
    generator = torch.Generator()
    return torch.stack([torch.rand(most, generator=generator.manual_seed((seed * 1_000_003 + n) % 2**63)) for n in numbers])


def laid(answers: list[list[int]], device: Any) -> Tensor:
    """Lay answers out as int64 (B, T), filled up with -1."""
    longest = max(map(len, answers), default=0)
    return torch.tensor([[*one, *[NO_TARGET] * (longest - len(one))] for one in answers], device=device)


def shorter(text: str) -> str:
    """Shorten a text for a table."""
    line = " ".join(text.split())
    return line if len(line) <= WIDTH else line[: WIDTH - 1] + "…"
