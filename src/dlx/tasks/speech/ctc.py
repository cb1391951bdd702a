"""Connectionist temporal classification: what steps say, as pieces, and where each piece is heard."""

from __future__ import annotations

import itertools
import math
from collections import defaultdict
from collections.abc import Callable, Sequence

import numpy as np

BLANK, SPECIAL = 0, 4  # padding stands for nothing said; below SPECIAL no code is a piece
NEVER = -math.inf
LIKELY = math.log(1e-4)  # pieces less likely than that at a step begin nothing
MOST_PIECES = 20  # pieces that may go on at a step

# T: steps, V: codes; scores are log-probabilities float64 (T, V)
Codes = tuple[int, ...]


def greedy(scores: np.ndarray) -> list[int]:
    """Return the likeliest code of every step, repetitions as one and blanks left out (Graves et al. 2006, section 3.2)."""
    best = scores.argmax(1)
    changes = np.append(True, best[1:] != best[:-1])
    return best[changes & (best >= SPECIAL)].tolist()


def beams(
    scores: np.ndarray,
    size: int,
    allowed: Callable[[Codes], bool] | None = None,
    worth: Callable[[Codes], float] | None = None,
) -> list[tuple[Codes, float]]:
    """Return the likeliest pieces over all their paths, with their log-probabilities, by `size` beginnings a step (Hannun et al. 2014).

    The best stand first. `allowed` says of a beginning whether it may be gone on with, and `worth` what is added to its
    log-probability where beginnings are compared.
    """
    kept: dict[Codes, tuple[float, float]] = {(): (0.0, NEVER)}  # log-probabilities: ending in a blank, and not
    for step in scores:
        blank = float(step[BLANK])
        pieces = [int(code) for code in np.argsort(-step[SPECIAL:])[:MOST_PIECES] + SPECIAL if step[code] > LIKELY]
        found: dict[Codes, list[float]] = defaultdict(lambda: [NEVER, NEVER])
        for text, (with_blank, without) in kept.items():
            both = _add(with_blank, without)
            found[text][0] = _add(found[text][0], both + blank)
            if text:
                found[text][1] = _add(found[text][1], without + float(step[text[-1]]))
            for code in pieces:
                longer = (*text, code)
                if allowed is not None and not allowed(longer):
                    continue
                before = with_blank if text and text[-1] == code else both  # a piece comes twice only with a blank between
                found[longer][1] = _add(found[longer][1], before + float(step[code]))
        values = {text: _add(*one) + (worth(text) if worth else 0.0) for text, one in found.items()}
        best = sorted(found, key=lambda text: -values[text])[:size]
        kept = {text: (found[text][0], found[text][1]) for text in best}
    return [(text, _add(*one)) for text, one in kept.items()]


def _add(one: float, other: float) -> float:
    """Add probabilities given as logarithms."""
    if one == NEVER or other == NEVER:
        return max(one, other)
    high, low = max(one, other), min(one, other)
    return high + math.log1p(math.exp(low - high))


def needed(codes: Sequence[int]) -> int:
    """Return the steps that pieces take at least: one each, and a blank between two that are equal."""
    return len(codes) + sum(one == other for one, other in itertools.pairwise(codes))


def alignment(scores: np.ndarray, codes: Sequence[int]) -> list[tuple[int, int]]:
    """Return of each piece the first step that says it and the one behind its last, on the likeliest path (Viterbi).

    Pieces that do not fit into the steps are spread evenly.
    """
    steps = len(scores)
    if not codes or needed(codes) > steps:
        return [(n * steps // max(len(codes), 1), (n + 1) * steps // max(len(codes), 1)) for n in range(len(codes))]
    states = np.full(2 * len(codes) + 1, BLANK)
    states[1::2] = codes
    skips = np.zeros(len(states), bool)  # a state that may follow the one before the last
    skips[3::2] = states[3::2] != states[1:-2:2]
    value = np.full(len(states), NEVER)
    value[:2] = scores[0, states[:2]]
    came = np.zeros((steps, len(states)), np.int8)
    for step in range(1, steps):
        options = np.stack((value, np.append(NEVER, value[:-1]), np.where(skips, np.append([NEVER] * 2, value[:-2]), NEVER)))
        came[step] = options.argmax(0)
        value = options.max(0) + scores[step, states]
    state = len(states) - 1 if value[-1] >= value[-2] else len(states) - 2
    path = np.empty(steps, np.int64)
    for step in range(steps - 1, -1, -1):
        path[step] = state
        state -= came[step, state]
    found = [np.flatnonzero(path == 2 * n + 1) for n in range(len(codes))]
    return [(int(one[0]), int(one[-1]) + 1) for one in found]
