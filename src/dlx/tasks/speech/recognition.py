"""Writing down what is said."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cache, partial
from typing import Any, ClassVar

import numpy as np
import torch
import torch.nn.functional as F
from pydantic import NonNegativeFloat, PositiveInt
from torch import Tensor, nn

from dlx.core import Batch, Loss, Shown, Table, Task
from dlx.errors import ComponentError
from dlx.registry import tasks
from dlx.tasks.deferred import Deferred
from dlx.tasks.speech.ctc import BLANK, SPECIAL, alignment, beams, greedy
from dlx.tasks.speech.known_words import KnownWords
from dlx.tasks.speech.word_scores import WordScores

ROWS, DRAWN = 10, 3  # of the table of examples, and of the picture


@tasks("speech_recognition")
class SpeechRecognition(Task):
    """Write down what is said, by connectionist temporal classification (CTC, Graves et al. 2006).

    The model gives logits (B, T', V) and how many steps of each clip are no padding (B,); the code 0 is the blank. The loss
    is a mean over pieces; a clip with fewer steps than its transcript needs counts nothing, and is told. Answers are the
    likeliest code of every step or, with `beam_size` above 1, the likeliest pieces over all their paths; `known_words` holds
    these to the word list. A language model of the data set adds `language_weight` times the log-probability of the words, and
    each word adds `word_bonus`. All four may change after training.
    """

    predicts = frozenset({"output", "time"})
    default_metrics: ClassVar[tuple[str, ...]] = ("wer", "cer")
    eval_metrics = ("wer", "cer")

    def __init__(
        self,
        model: nn.Module,
        processor: Any,
        target_vocab_size: int,
        constant_target: list[int] | None = None,
        *,
        beam_size: PositiveInt = 1,
        known_words: bool = False,
        language_weight: NonNegativeFloat = 0.0,
        word_bonus: float = 0.0,
    ) -> None:
        super().__init__(model)
        wanted = {"known_words": known_words, "language_weight": language_weight, "word_bonus": word_bonus}
        if beam_size == 1 and (first := next((name for name, value in wanted.items() if value), None)):
            raise ComponentError("chooses among beams: wants beam_size of 2 or more", (first,))
        if language_weight and processor.language_model is None:
            raise ComponentError("wants a language model, learnt with data.language_model: 3", ("language_weight",))
        self.processor, self.vocab_size, self.beam_size = processor, target_vocab_size, beam_size
        self.constant = constant_target or []
        self.known = KnownWords(processor.tokenizer, processor.words) if known_words else None
        self.language = (language_weight, word_bonus)
        self.told = False

    def scores(self, batch: Batch) -> tuple[Tensor, Tensor]:
        """Return log-probabilities of codes float32 (B, T', V), and the steps of each clip (B,)."""
        logits, steps = self.run(batch)
        return logits.float().log_softmax(-1), steps

    def likelihoods(self, scores: Tensor, steps: Tensor, target: Tensor) -> tuple[Tensor, Tensor]:
        """Return the negative log-likelihood of each transcript (B,), 0 where it cannot be, and its pieces (B,), so too."""
        pieces = (target >= 0).sum(1)
        repeated = ((target[:, 1:] == target[:, :-1]) & (target[:, 1:] >= 0)).sum(1)
        possible = pieces + repeated <= steps
        losses = F.ctc_loss(scores.transpose(0, 1), target.clamp_min(BLANK), steps, pieces, BLANK, "none", zero_infinity=True)
        return torch.where(possible, losses, 0.0), pieces * possible

    def forward(self, batch: Batch) -> Loss:
        """Compute the mean loss of the pieces."""
        losses, pieces = self.likelihoods(*self.scores(batch), batch["target"])
        count = pieces.sum().clamp_min(1)
        return Loss(losses.sum() / count, count, scalars={"too_short": (pieces == 0).float().mean()})

    def predict(self, batch: Batch) -> Batch:
        """Write down a batch: `output` int64 (B, T), padded with -1, and `time` float32 (B, T, 2), in seconds."""
        scores, steps = self.scores(batch)
        stride = max(1, round(batch["input"].shape[1] / scores.shape[1]))
        seconds = stride * self.processor.step_seconds
        codes = Deferred({"all": lambda: self.decoded(scores, steps)})
        words: dict[str, Any] = {
            "output": lambda: laid([torch.tensor(one) for one in codes["all"]], scores.device),
            "time": lambda: self.times(scores, steps, codes["all"], seconds),
        }
        if "target" in batch:
            scored = Deferred({"all": lambda: self.likelihoods(scores, steps, batch["target"])})
            words |= {word: partial(lambda n: scored["all"][n], n) for n, word in enumerate(("loss", "pieces"))}
        return Deferred(words)

    def decoded(self, scores: Tensor, steps: Tensor) -> list[list[int]]:
        """Return the codes that each clip says."""
        said = scores.double().cpu().numpy().copy()
        said[:, :, BLANK + 1 : SPECIAL] = -np.inf  # no piece
        return [self.searched(one[:size]) for one, size in zip(said, steps.tolist(), strict=True)]

    def searched(self, scores: np.ndarray) -> list[int]:
        """Return the codes that the steps (T', V) of a clip say."""
        if self.beam_size == 1:
            return greedy(scores)
        allowed = cache(self.known.begins) if self.known else None  # a clip's own: all beginnings would fill memory
        if not any(self.language):
            found = [codes for codes, _ in beams(scores, self.beam_size, allowed)]
        else:
            words = WordScores(self.processor.tokenizer, self.processor.language_model, *self.language)
            heard = beams(scores, self.beam_size, allowed, cache(words.begun))
            found = [codes for codes, _ in sorted(heard, key=lambda one: -(one[1] + words.finished(one[0])))]
        known = self.known
        return list(next((codes for codes in found if known is None or known.finished(codes)), found[0]))

    def times(self, scores: Tensor, steps: Tensor, codes: list[list[int]], seconds: float) -> Tensor:
        """Return from when to when each piece is heard (B, T, 2), in seconds."""
        heard = scores.double().cpu().numpy()
        rows = [alignment(one[:size], said) for one, size, said in zip(heard, steps.tolist(), codes, strict=True)]
        return laid([torch.tensor(row, dtype=torch.float32).view(-1, 2) * seconds for row in rows], scores.device)

    def score(self, prediction: Batch, batch: Batch) -> Loss:
        """Compute the loss of a prediction, as training does."""
        count = prediction["pieces"].sum().clamp_min(1)
        return Loss(prediction["loss"].sum() / count, count)

    def baseline(self, batch: Batch) -> Batch:
        """Answer the most frequent transcript of the training split, or one of middle length where all differ."""
        size, pieces = len(batch["input"]), len(self.constant)
        output = torch.tensor(self.constant, dtype=torch.int64).expand(size, -1)
        return {"output": output, "time": torch.zeros(size, pieces, 2)}

    def verify(self, batch: Batch) -> None:
        """Refuse a model whose output is not a row of logits for each step, with the numbers of steps."""
        self.refuse_unread({word: value for word, value in batch.items() if word != "reference"})
        output = self.run(batch)
        if not (isinstance(output, tuple) and len(output) == 2):
            raise ComponentError("wants a model that gives logits at every step and their number, such as deep_speech")
        logits, steps = output
        size = len(batch["input"])
        if logits.ndim != 3 or logits.shape[::2] != (size, self.vocab_size) or steps.shape != (size,):
            raise ComponentError(f"gives an output of shape {tuple(logits.shape)}, not ({size}, steps, {self.vocab_size})")

    def show(self, batch: Batch, prediction: Batch) -> Mapping[str, Shown]:
        """Write down transcripts and answers, and draw when the words were heard."""
        from dlx.pictures.spectrograms import Heard, spectrograms

        written = [self.processor.detokenize(codes) for codes in prediction["output"][:ROWS].tolist()]
        right = [self.processor.normalize(one[0]) for one in batch["reference"][:ROWS]]
        step = self.processor.step_seconds
        panels = []
        for row in range(min(DRAWN, len(written))):
            words = self.processor.timed(prediction["output"][row].tolist(), prediction["time"][row], 0.0)
            spans = [(one["word"], one["start"], one["end"]) for one in words]
            sound = batch["input"][row, : int(batch["length"][row])].cpu().numpy()
            panels.append(Heard(right[row], sound, step, spans))
        rows = [[one, other] for one, other in zip(right, written, strict=True)]
        return {"examples": Table(("said", "written"), rows), "heard": spectrograms(panels)}

    def remarks(self, scalars: Mapping[str, float]) -> Iterator[str]:
        """Say that clips have fewer steps than their transcripts need."""
        share = scalars.get("train/too_short", 0.0)
        if share and not self.told:
            self.told = True
            yield (
                f"{share:.1%} of the training clips have fewer steps than their transcripts need, and teach nothing: less "
                "subsampling (model.subsampling) or larger pieces help"
            )


def laid(rows: list[Tensor], device: Any) -> Tensor:
    """Lay tensors of different lengths side by side, filled up with -1."""
    filled = torch.nn.utils.rnn.pad_sequence(rows, batch_first=True, padding_value=-1) if rows else torch.zeros(0, 0)
    return (filled.long() if filled.ndim == 2 else filled).to(device)
