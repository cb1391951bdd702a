"""The words of a training clip in another order, cut where the speaker pauses: places teach nothing then, only sounds."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence

import numpy as np
import torch
from torch import Generator, Tensor

from dlx.data.speech.clips import Recordings
from dlx.errors import ComponentError

FRAME = 0.02  # seconds whose loudness is measured together
DEPTHS = range(10, 46, 2)  # decibels below the loud frames of a clip at which a frame may begin to count as quiet
LOUD = 0.9  # the share of frames that are no louder than "the loud frames"
SOUND = 3  # frames: what is shorter is a click and no word
CLEAR = 4  # frames by which the pauses between words must be longer than any other
log = logging.getLogger("dlx")


class WordShuffle:
    """Puts the words of some clips in an order drawn by lot; only clips whose pauses tell their words apart take part."""

    def __init__(
        self,
        recordings: Recordings,
        texts: Sequence[str],
        codes: Callable[[Sequence[str]], Sequence[Sequence[int]]],
        rate: int,
        probability: float,
    ) -> None:
        self.codes, self.probability = codes, probability
        self.words = [text.split() for text in texts]
        self.bounds = [bounds(recordings.wave(row), rate, len(words)) for row, words in enumerate(self.words)]
        count = sum(bound is not None for bound in self.bounds)
        if not count:
            raise ComponentError("no training clip has several words and clear pauses between all of them", ("shuffle_words",))
        log.info("shuffle_words: %s of %s training clips have clear pauses between all words", f"{count:,}", f"{len(texts):,}")

    def __call__(self, rows: Sequence[int], waves: Tensor, draw: Generator) -> list[Sequence[int]]:
        """Reorder waves (B, S) of these clips in place, and return the codes of what is said in them now."""
        texts = []
        for row, wave in zip(rows, waves, strict=True):
            words, bound = self.words[row], self.bounds[row]
            order = torch.randperm(len(words), generator=draw).tolist()
            if float(torch.rand((), generator=draw)) < self.probability and bound is not None:
                words = [words[place] for place in order]
                wave[bound[0] : bound[-1]] = torch.cat([wave[bound[place] : bound[place + 1]] for place in order])
            texts.append(" ".join(words))
        return list(self.codes(texts))


def bounds(wave: np.ndarray, rate: int, count: int) -> list[int] | None:
    """Return where so many words of a wave (S,) begin, and where the last ends; None where the pauses do not tell.

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
    return [place * frame for place in places] if margin >= CLEAR else None


def apart(loud: np.ndarray, count: int) -> tuple[int, list[int]]:
    """Return by how many frames the pauses between so many words outlast other gaps, and where each word begins and the last ends.

    A word is cut in the middle of a pause; before the first and behind the last it has half of the shortest.
    """
    edges = np.flatnonzero(np.diff(np.r_[False, loud, False].astype(int))).reshape(-1, 2)
    starts, ends = edges[edges[:, 1] - edges[:, 0] >= SOUND].T
    gaps, middles = starts[1:] - ends[:-1], (starts[1:] + ends[:-1]) // 2
    if len(starts) < count:
        return 0, []
    longest = np.argsort(-gaps, kind="stable")
    pauses, others = longest[: count - 1], longest[count - 1 :]
    shortest = int(gaps[pauses].min())
    first, last = max(0, int(starts[0]) - shortest // 2), min(len(loud), int(ends[-1]) + shortest // 2)
    return shortest - int(gaps[others].max(initial=0)), [first, *np.sort(middles[pauses]).tolist(), last]
