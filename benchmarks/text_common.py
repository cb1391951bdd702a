"""What the contestants of text_speed.py share: the model's sizes, texts of recorded lengths, their batches, and the clock."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from contest import Clock

SIZE, HEADS, ENCODERS, DECODERS, WIDE = 256, 4, 3, 2, 768
DROPOUT, SMOOTHING, RATE, BETAS = 0.1, 0.1, 5e-4, (0.9, 0.98)
VOCABULARY, RESERVED, BUDGET, LONGEST = 8000, 4, 4000, 64  # pieces known, of them padding, unknown, begin and end
PADDING, BEGIN, END, NOTHING = 0, 2, 3, -1
# Pieces of every hundredth pair of Tatoeba's English and Spanish under a BPE of 8,000: source, END counted - answer, BEGIN and END.
RECORDED = (
    "4-5 4-6 4-7 4-7 4-10 5-6 5-7 5-7 5-7 5-8 5-8 5-8 5-9 6-6 6-6 6-7 6-7 6-8 6-8 6-8 6-8 6-8 6-9 6-9 6-9 6-11 7-6 7-7 7-7 "
    "7-8 7-8 7-8 7-9 7-9 7-9 7-9 7-9 7-10 7-10 7-11 7-11 8-7 8-7 8-8 8-8 8-9 8-9 8-9 8-10 8-10 8-10 8-11 8-11 8-11 8-13 "
    "8-13 9-8 9-9 9-9 9-10 9-10 9-11 9-11 9-11 9-12 9-13 9-14 9-14 10-9 10-10 10-10 10-11 10-12 10-12 10-13 10-14 10-15 "
    "11-10 11-11 11-12 11-12 11-13 11-14 11-16 12-11 12-12 12-14 12-16 12-17 13-14 13-15 13-16 14-15 14-18 14-18 15-18 "
    "16-19 17-20 18-21 28-26"
)
LENGTHS = [tuple(map(int, pair.split("-"))) for pair in RECORDED.split()]


def write_pairs(file: Path, count: int, seed: int = 0) -> None:
    """Write pairs of texts of the recorded lengths, of words that are drawn; all words of the vocabulary come."""
    draw = random.Random(seed)
    words = [f"w{n}" for n in range(VOCABULARY - RESERVED)]

    def endless() -> Iterator[str]:
        while True:
            yield from draw.sample(words, len(words))

    stream = endless()
    pairs = [LENGTHS[n % len(LENGTHS)] for n in range(count)]
    lines = [f"{_text(stream, source - 1)}\t{_text(stream, answer - 2)}\n" for source, answer in pairs]
    file.write_text("".join(lines))


def _text(stream: Iterator[str], size: int) -> str:
    return " ".join(next(stream) for _ in range(size))


Words = dict[str, Any]  # of a batch, as arrays: input (B, S), length (B,), target (B, T)


def write_batches(file: Path, batches: list[Words]) -> None:
    """Keep the batches of an epoch for those who do not read the texts themselves."""
    import numpy as np

    np.savez(file, **{f"{n}_{word}": batch[word] for n, batch in enumerate(batches) for word in ("input", "length", "target")})


def read_batches(file: Path) -> list[Words]:
    """Read them again."""
    import numpy as np

    with np.load(file) as kept:
        count = len(kept.files) // 3
        return [{word: kept[f"{n}_{word}"] for word in ("input", "length", "target")} for n in range(count)]


def pieces(batches: list[Words]) -> int:
    """Count the pieces of sources and answers, without padding."""
    return sum(int(batch["length"].sum() + (batch["target"] != NOTHING).sum()) for batch in batches)


def timed(step: Callable[[Words], Any], batches: list[Words], epochs: int) -> dict[str, float]:
    """Time some epochs of steps behind one that warms up, or compiles; a step gives what must be there before the clock stops."""
    clock, ready = Clock(), None
    for epoch in range(1 + epochs):
        if epoch == 1:
            finish(ready)
            clock.start()
        for batch in batches:
            ready = step(batch)
    finish(ready)
    return per_second(clock.stop(1), epochs * pieces(batches))


def finish(ready: Any) -> None:
    """Wait for what is still being computed; reading a number does."""
    float(ready)


def per_second(clock: dict[str, float], count: int) -> dict[str, float]:
    """Turn a clock stopped after one thing into pieces a second, and processor seconds and new pages of memory a million."""
    return {"rate": count * clock["rate"], "work": 1e6 * clock["work"] / count, "pages": 1e6 * clock["pages"] / count}
