"""Changes to the words of training clips, cut where the speaker pauses: another order, fewer of them, shorter pauses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np
import torch
from torch import Generator, Tensor
from torch.nn.utils.rnn import pad_sequence

from dlx.data.speech.clips import Recordings
from dlx.errors import ComponentError

FRAME = 0.02  # seconds whose loudness is measured together
DEPTHS = range(10, 46, 2)  # decibels below the loud frames of a clip at which a frame may begin to count as quiet
LOUD = 0.9  # the share of frames that are no louder than "the loud frames"
SOUND = 3  # frames: what is shorter is a click and no word
CLEAR = 4  # frames by which the pauses between words must be longer than any other
log = logging.getLogger("dlx")


class Span(NamedTuple):
    """Where a word stands, in samples or frames: from the middle of the pause before it to that of the one behind it."""

    begin: int
    start: int  # of its sound
    stop: int
    end: int


class WordAugmentation:
    """Puts the words of some clips in an order drawn by lot, leaves some words of some out, and shortens pauses.

    Only clips whose pauses tell their words apart take part. `shuffled` and `dropped` are probabilities, `shortened` the share
    of a pause that may go.
    """

    def __init__(
        self,
        recordings: Recordings,
        texts: Sequence[str],
        codes: Callable[[Sequence[str]], Sequence[Sequence[int]]],
        rate: int,
        *,
        shuffled: float,
        dropped: float,
        shortened: float,
    ) -> None:
        self.codes, self.shuffled, self.dropped, self.shortened = codes, shuffled, dropped, shortened
        self.words = [text.split() for text in texts]
        self.spans = [spans(recordings.wave(row), rate, len(words)) for row, words in enumerate(self.words)]
        wanted = {"shuffle_words": shuffled, "drop_words": dropped, "shorten_pauses": shortened}
        names = [name for name, share in wanted.items() if share]
        count = sum(found is not None for found in self.spans)
        if not count:
            raise ComponentError("no training clip has several words and clear pauses between all of them", (names[0],))
        told = (", ".join(names), f"{count:,}", f"{len(texts):,}")
        log.info("%s: %s of %s training clips have clear pauses between all words", *told)

    def __call__(
        self, rows: Sequence[int], waves: Tensor, samples: Tensor, draw: Generator
    ) -> tuple[Tensor, Tensor, list[Sequence[int]]]:
        """Change these clips, waves (B, S) with so many samples (B,) each; return both, and the codes of what is said now."""
        texts, sounds = [], []
        for row, wave, count in zip(rows, waves, samples.tolist(), strict=True):
            words, found, wave = self.words[row], self.spans[row], wave[:count]
            if found is not None:
                order = self.order(len(words), draw)
                words = [words[place] for place in order]
                parts = [wave[self.cut(found[place], draw)] for place in order]
                wave = torch.cat([wave[: found[0].begin], *parts, wave[found[-1].end :]])
            texts.append(" ".join(words))
            sounds.append(wave)
        return pad_sequence(sounds, batch_first=True), torch.tensor([len(one) for one in sounds]), list(self.codes(texts))

    def order(self, count: int, draw: Generator) -> list[int]:
        """Draw which of so many words are heard, one at least, and in which order."""
        order, kept = torch.randperm(count, generator=draw), int(torch.randint(count, (), generator=draw)) + 1
        shuffled, dropped = (torch.rand(2, generator=draw) < torch.tensor([self.shuffled, self.dropped])).tolist()
        order = order[:kept] if dropped else order
        return (order if shuffled else order.sort().values).tolist()

    def cut(self, span: Span, draw: Generator) -> slice:
        """Return where a word is cut out, the pauses on both sides shortened by lot."""
        before, after = (1 - self.shortened * torch.rand(2, generator=draw)).tolist()
        return slice(span.start - round(before * (span.start - span.begin)), span.stop + round(after * (span.end - span.stop)))


def spans(wave: np.ndarray, rate: int, count: int) -> list[Span] | None:
    """Return where so many words of a wave (S,) stand; None where the pauses do not tell.

    The level below which a frame is quiet is the one that best sets the pauses between words apart from other gaps.
    """
    frame = max(1, round(FRAME * rate))
    frames = wave[: len(wave) // frame * frame].reshape(-1, frame).astype(np.float64)
    if count < 2 or not len(frames):
        return None
    power = np.square(frames).mean(1)
    loud = np.quantile(power, LOUD)
    found = [apart(power > loud * 10 ** (-depth / 10), count) for depth in DEPTHS]
    margin, places = max(found, key=lambda one: one[0])
    return [Span(*(frame * place for place in one)) for one in places] if margin >= CLEAR else None


def apart(loud: np.ndarray, count: int) -> tuple[int, list[Span]]:
    """Return by how many frames the pauses between so many words outlast other gaps, and where the words stand.

    A word is cut in the middle of a pause; before the first and behind the last it has half of the shortest.
    """
    edges = np.flatnonzero(np.diff(np.r_[False, loud, False].astype(int))).reshape(-1, 2)
    starts, ends = edges[edges[:, 1] - edges[:, 0] >= SOUND].T
    gaps, middles = starts[1:] - ends[:-1], (starts[1:] + ends[:-1]) // 2
    if len(starts) < count:
        return 0, []
    longest = np.argsort(-gaps, kind="stable")
    pauses, others = np.sort(longest[: count - 1]), longest[count - 1 :]
    shortest = int(gaps[pauses].min())
    first, last = max(0, int(starts[0]) - shortest // 2), min(len(loud), int(ends[-1]) + shortest // 2)
    cuts, starts, stops = np.r_[first, middles[pauses], last], starts[np.r_[0, pauses + 1]], ends[np.r_[pauses, -1]]
    found = [Span(*map(int, one)) for one in zip(cuts[:-1], starts, stops, cuts[1:], strict=True)]
    return shortest - int(gaps[others].max(initial=0)), found
