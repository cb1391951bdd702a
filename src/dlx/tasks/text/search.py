"""Writing answers piece by piece: the likeliest piece each time, beams of the likeliest answers, or pieces drawn by lot."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Annotated, Any

import torch
from pydantic import Field, NonNegativeFloat, NonNegativeInt, PositiveFloat, PositiveInt
from torch import Tensor

from dlx.core import Decoder
from dlx.registry.types import OptionGroup
from dlx.tasks.text.likeliest import largest, log_of_sum

PADDING, UNKNOWN, BEGIN, END = range(4)
NEVER = -torch.inf

# B: sentences, K: beams of each, V: pieces


@dataclass(frozen=True)
class Decoding(OptionGroup):
    """How answers are written: greedily with `beam_size` 1, by beams above, or by lot with `sample`.

    A finished answer of n pieces, END counted, is worth its log-probability / ((5 + n) / 6) ** length_penalty (Wu et al. 2016).
    `no_repeat_ngram` n lets no n pieces come twice in an answer. `temperature`, `top_k` and `top_p` shape the lots, which
    follow from the seed and the number of the sample.
    """

    beam_size: PositiveInt = 1
    length_penalty: NonNegativeFloat = 1.0
    no_repeat_ngram: NonNegativeInt = 0
    max_output_length: PositiveInt | None = None
    sample: bool = False
    temperature: PositiveFloat = 1.0
    top_k: NonNegativeInt = 0
    top_p: Annotated[float, Field(gt=0, le=1)] = 1.0


def search(model: Decoder, state: Any, token: Tensor, most: int, how: Decoding, draws: Tensor | None) -> list[list[int]]:
    """Write answers of at most `most` pieces behind a first one (B,), which is no part of them.

    `draws` (B, most) from 0 to 1 decide where pieces are drawn by lot.
    """
    if how.beam_size > 1 and not how.sample:
        return beams(model, state, token, most, how)
    return one_by_one(model, state, token, most, how, draws if how.sample else None)


def allowed(logits: Tensor, written: list[list[int]], ngram: int) -> Tensor:
    """Return the logits of the next pieces; padding, BEGIN and unknown never come, nor what would repeat an n-gram."""
    scores = logits.float()
    scores[:, :END] = NEVER  # PADDING, UNKNOWN, BEGIN
    if ngram:
        for row, codes in enumerate(written):
            if banned := repeating(codes, ngram):
                scores[row, banned] = NEVER
    return scores


def repeating(codes: list[int], ngram: int) -> list[int]:
    """Return the pieces that would make the last n pieces come a second time."""
    before = codes[len(codes) - ngram + 1 :]
    starts = range(len(codes) - ngram + 1)
    return [codes[start + ngram - 1] for start in starts if codes[start : start + ngram - 1] == before]


def one_by_one(model: Decoder, state: Any, token: Tensor, most: int, how: Decoding, draws: Tensor | None) -> list[list[int]]:
    """Write every answer by one choice after the other; finished ones are dropped from the batch."""
    answers: list[list[int]] = [[] for _ in token]
    live = torch.arange(len(token), device=token.device)
    for step in range(most):
        logits, state = model.step(token, state)
        scores = allowed(logits, [answers[row] for row in live.tolist()], how.no_repeat_ngram)
        token = scores.max(-1).indices if draws is None else lot(scores, how, draws[live, step])  # faster than argmax
        for row, code in zip(live.tolist(), token.tolist(), strict=True):
            answers[row].append(code)
        going = (token != END).nonzero()[:, 0]
        if not len(going):
            break
        if len(going) < len(live):
            live, token, state = live[going], token[going], model.select(state, going)
    return answers


def lot(scores: Tensor, how: Decoding, draw: Tensor) -> Tensor:
    """Draw a piece (B,) by numbers from 0 to 1 (B,): of the `top_k` likeliest, or of those that have `top_p` together."""
    ordered, codes = (scores / how.temperature).sort(-1, descending=True)
    shares = ordered.softmax(-1)
    kept = shares.cumsum(-1) - shares < how.top_p
    if how.top_k:
        kept[:, how.top_k :] = False
    shares = shares * kept
    reached = shares.cumsum(-1) > (draw[:, None] * shares.sum(-1, keepdim=True))
    return codes.gather(1, reached.int().argmax(-1, keepdim=True))[:, 0]


@dataclass
class Found:
    """The finished answers of a sentence, each with its worth, the best first."""

    most: int
    answers: list[tuple[float, list[int]]] = field(default_factory=list)

    def add(self, worth: float, codes: list[int]) -> None:
        """Keep an answer if it is among the best."""
        self.answers = sorted([*self.answers, (worth, codes)], key=lambda one: -one[0])[: self.most]

    def beats(self, worth: float) -> bool:
        """Tell whether as many answers as there are beams are no worse than this."""
        return len(self.answers) == self.most and self.answers[-1][0] >= worth


def beams(model: Decoder, state: Any, token: Tensor, most: int, how: Decoding) -> list[list[int]]:
    """Keep the likeliest beginnings of each sentence's answer.

    A sentence is done when as many answers have ended as there are beams and none of the beginnings, at its present length, is
    worth more than the worst of them: not at the first end, since a longer answer may be worth more.
    """
    width, size, device = how.beam_size, len(token), token.device
    found = [Found(width) for _ in range(size)]
    live, written = list(range(size)), [list[int]() for _ in range(size)]
    totals = torch.zeros(size, 1, device=device)
    for length in range(1, most + 1):
        logits, state = model.step(token, state)
        candidates = Candidates(totals, allowed(logits, written, how.no_repeat_ngram), 2 * width)
        worth = ((5 + length) / 6) ** how.length_penalty
        going = Going(width)
        for place, sentence in enumerate(live):
            ended, others = candidates.divide(place, width)
            for total, row in ended:
                found[sentence].add(total / worth, [*written[row], END])
            if length == most:
                for total, row, code in others:
                    found[sentence].add(total / worth, [*written[row], code])
            elif others and not found[sentence].beats(others[0][0] / worth):
                going.add(sentence, others)
        if not going.sentences:
            break
        live, written = going.sentences, [[*written[row], code] for row, code in zip(going.rows, going.codes, strict=True)]
        state = model.select(state, torch.tensor(going.rows, device=device))
        token, totals = torch.tensor(going.codes, device=device), torch.tensor(going.totals, device=device)
    return [one.answers[0][1] if one.answers else [END] for one in found]


class Going:
    """The beginnings that are gone on with: `width` of each sentence."""

    def __init__(self, width: int) -> None:
        self.width = width
        self.sentences, self.rows, self.codes = list[int](), list[int](), list[int]()
        self.totals: list[list[float]] = []

    def add(self, sentence: int, beginnings: list[tuple[float, int, int]]) -> None:
        """Take the beginnings of a sentence; where a small vocabulary gives too few, one is there again without a chance."""
        _, row, code = beginnings[0]
        whole = beginnings + [(NEVER, row, code)] * (self.width - len(beginnings))
        self.sentences.append(sentence)
        self.totals.append([total for total, _, _ in whole])
        self.rows += [row for _, row, _ in whole]
        self.codes += [code for _, _, code in whole]


class Candidates:
    """The best ways to go on from the beginnings (B * K rows) of each sentence."""

    def __init__(self, totals: Tensor, scores: Tensor, most: int) -> None:
        self.beams = totals.shape[1]
        values, places = largest(scores, most)  # the best of all are among the best of each beginning
        worth = totals.view(-1, 1) + values - log_of_sum(scores, values[:, :1])
        sums, codes = (one.reshape(len(totals), -1) for one in (worth, places))
        best = sums.topk(min(most, sums.shape[1]), -1)
        self.values, self.codes = best.values.tolist(), codes.gather(1, best.indices).tolist()
        self.rows = (best.indices // values.shape[1]).tolist()

    def divide(self, place: int, width: int) -> tuple[list[tuple[float, int]], list[tuple[float, int, int]]]:
        """Return a sentence's endings (total, row), and the `width` best of the others (total, row, piece)."""
        ended, others = list[tuple[float, int]](), list[tuple[float, int, int]]()
        for total, beam, code in zip(self.values[place], self.rows[place], self.codes[place], strict=True):
            if total == NEVER or len(others) == width:
                break
            row = place * self.beams + beam
            if code == END:
                ended.append((total, row))
            else:
                others.append((total, row, code))
        return ended, others
