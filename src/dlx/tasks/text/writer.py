"""What tasks that write texts share: the loss of the right pieces, and answers that are written when they are read."""

from __future__ import annotations

from functools import partial
from typing import Annotated, Any, ClassVar

import torch
import torch.nn.functional as F
from pydantic import Field
from torch import Tensor, nn

from dlx.core import Batch, Decoder, Loss, Penalized, Task
from dlx.errors import ComponentError
from dlx.tasks.deferred import Deferred, in_present_precision
from dlx.tasks.text.search import Decoding, search

ROWS, WIDTH = 10, 70  # of a table of examples
NO_TARGET = -1
SCORED = ("log_probability", "tokens", "loss")
Smoothing = Annotated[float, Field(ge=0, lt=1)]


class TextWriter(Task):
    """Learn each piece of a text given the pieces before it; the loss is a mean over pieces.

    A prediction has the word that `written_word` names, int64 (B, T), END at its end and -1 behind it, and of the right text
    `log_probability` (B,) and `tokens` (B,), END counted. Nothing is written that nobody reads.
    """

    written_word: ClassVar[str]
    reads_previous: ClassVar[bool]  # whether the model is given the right pieces apart from its input
    wanted_model: ClassVar[str]
    model: Any

    def __init__(
        self, model: nn.Module, processor: Any, vocab_size: int, seed: int, label_smoothing: float, decoding: Decoding
    ) -> None:
        super().__init__(model)
        if not isinstance(model, Decoder) or ("previous" in self.words) != self.reads_previous:
            raise ComponentError(f"wants {self.wanted_model}")
        self.processor, self.seed, self.label_smoothing, self.decoding = processor, seed, label_smoothing, decoding
        self.vocab_size, self.penalized = vocab_size, isinstance(model, Penalized)

    def given(self, batch: Batch) -> tuple[Batch, Tensor]:
        """Return what the model is given of the right pieces, and what should come behind each (B, T), -1 for nothing."""
        raise NotImplementedError

    def write(self, batch: Batch) -> Tensor:
        """Write texts (B, T)."""
        raise NotImplementedError

    def scores_right(self, batch: Batch) -> bool:
        """Tell whether a batch has the right pieces."""
        raise NotImplementedError

    def read(self, batch: Batch) -> tuple[Tensor, Tensor, Tensor | None]:
        """Run the model on the right pieces: logits (B, T, V), what should have come (B, T), and penalties where it has some."""
        given, wanted = self.given(batch)
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
        words = {self.written_word: in_present_precision(lambda: self.write(batch), kind)}
        if self.scores_right(batch):
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

    def search(self, state: Any, token: Tensor, most: int, index: Tensor) -> list[list[int]]:
        """Write at most so many pieces after a state and a piece (B,); lots follow from the samples' numbers (B,)."""
        draws = lots(self.seed, index.tolist(), most).to(token.device) if self.decoding.sample else None
        return search(self.model, state, token, most, self.decoding, draws)

    def check_logits(self, batch: Batch) -> None:
        """Refuse a model whose output is not a row of logits for each piece."""
        logits, wanted, _ = self.read(batch)
        if logits.shape != (*wanted.shape, self.vocab_size):
            raise ComponentError(f"gives an output of shape {tuple(logits.shape)}, not {(*wanted.shape, self.vocab_size)}")


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


def numbers(batch: Batch) -> Tensor:
    """Return the numbers of a batch's samples (B,), from 0 where it does not say."""
    return batch["index"] if "index" in batch else torch.arange(len(batch["input"]))
