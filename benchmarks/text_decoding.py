"""Contestants of text_speed.py that write: dlx's search, greedy and with five beams, and loops that keep nothing.

With drawn weights an answer ends where the recorded one does: END is the likeliest piece there, and has no chance before.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import contest
import text_common as common

WAYS = ["greedy", "beams", "again", "whole"]
BATCH, BEAMS, CERTAIN = 256, 5, 1e4  # sentences at a time, as in evaluation; a logit beside which no other has a chance


def sentences(count: int) -> list[tuple[list[int], int]]:
    """Draw sources of recorded lengths, END behind them, and how many pieces their answers have, END counted."""
    import random

    draw = random.Random(0)
    pairs = [common.LENGTHS[n % len(common.LENGTHS)] for n in range(count)]
    return [
        ([*(draw.randrange(common.RESERVED, common.VOCABULARY) for _ in range(source - 1)), common.END], answer - 1)
        for source, answer in pairs
    ]


def batched(texts: list[tuple[list[int], int]]) -> list[tuple[Any, Any, Any]]:
    """Lay texts out in batches, the longest first: codes (B, S), lengths (B,), pieces of the answers (B,)."""
    import torch
    from torch.nn.utils.rnn import pad_sequence

    ordered = sorted(texts, key=lambda text: -len(text[0]))
    found = []
    for start in range(0, len(ordered), BATCH):
        codes = [torch.tensor(one) for one, _ in ordered[start : start + BATCH]]
        pieces = torch.tensor([size for _, size in ordered[start : start + BATCH]])
        found.append((pad_sequence(codes, True, common.PADDING), torch.tensor([len(one) for one in codes]), pieces))
    return found


def trained(path: str, count: int) -> tuple[Any, list[tuple[list[int], int]]]:
    """Load a run's model, and texts evenly from its test split; their answers may have as many pieces as in the run."""
    from dlx.assembly.experiment import restored
    from dlx.assembly.restore import load

    loaded = load(path)
    built = restored(loaded.spec([]), loaded.trained_on({"test"}), lambda plan: None)
    loaded.fill(built.task)
    texts = [
        (codes[:length], built.task.most)
        for batch in built.source.evaluate(None, "test")
        for codes, length in zip(batch["input"].tolist(), batch["length"].tolist(), strict=True)
    ]
    return built.task.model, texts[:: max(len(texts) // count, 1)][:count]


class Ending:
    """A model whose answers have the lengths they are told; a state is the model's, and how many pieces are left (B,)."""

    def __init__(self, model: Any, pieces: Any) -> None:
        self.model, self.pieces = model, pieces

    def begin(self, input: Any, length: Any = None) -> Any:
        """Begin with all pieces left."""
        return self.model.begin(input, length), self.pieces

    def step(self, token: Any, state: Any) -> Any:
        """Step, and count."""
        inner, left = state
        logits, inner = self.model.step(token, inner)
        return ended(logits, left), (inner, left - 1)

    def select(self, state: Any, rows: Any) -> Any:
        """Select both."""
        return self.model.select(state[0], rows), state[1][rows]


def ended(logits: Any, left: Any) -> Any:
    """Let answers end where one piece is left, and only there."""
    logits[:, common.END] = (left == 1).to(logits.dtype) * 2 * CERTAIN - CERTAIN
    return logits


def searched(model: Any, batch: tuple[Any, Any, Any], forced: bool, beams: int) -> list[list[int]]:
    """Write by dlx's search."""
    import torch

    from dlx.tasks.text.search import Decoding, search

    codes, length, pieces = batch
    writer = Ending(model, pieces) if forced else model
    how = Decoding(beam_size=beams)
    return search(writer, writer.begin(codes, length), torch.full_like(length, common.BEGIN), int(pieces.max()), how, None)


def greedy(model: Any, batch: tuple[Any, Any, Any], forced: bool) -> list[list[int]]:
    """Write the likeliest piece each time."""
    return searched(model, batch, forced, 1)


def beams(model: Any, batch: tuple[Any, Any, Any], forced: bool) -> list[list[int]]:
    """Write by five beams."""
    return searched(model, batch, forced, BEAMS)


def without_memory(decode: Callable[[Any], Any], batch: tuple[Any, Any, Any], forced: bool) -> list[list[int]]:
    """Write the likeliest piece each time; `decode` gives the next logits (B, V) of all answers so far (B, T)."""
    import torch

    codes, _, left = batch
    written = torch.full((len(codes), 1), common.BEGIN)
    going = torch.ones(len(codes), dtype=torch.bool)
    for _ in range(int(left.max())):
        logits = decode(written)
        logits[:, [common.PADDING, 1, common.BEGIN]] = -torch.inf
        token = (ended(logits, left) if forced else logits).argmax(-1)
        written, left, going = torch.cat((written, token[:, None]), 1), left - 1, going & (token != common.END)
        if not going.any():
            break
    return [cut(row) for row in written[:, 1:].tolist()]


def cut(codes: list[int]) -> list[int]:
    """Cut an answer behind its END."""
    return codes[: codes.index(common.END) + 1] if common.END in codes else codes


def whole(model: Any, batch: tuple[Any, Any, Any], forced: bool) -> list[list[int]]:
    """Run the whole model for every piece, as one does who has its forward alone."""
    codes, length, _ = batch
    return without_memory(lambda written: model(codes, written, length)[:, -1].clone(), batch, forced)


def again(model: Any, batch: tuple[Any, Any, Any], forced: bool) -> list[list[int]]:
    """Encode the source once, and decode the whole answer for every piece; only its last step becomes logits."""
    codes, length, _ = batch
    memory = model.encode(codes, length)
    mask = memory.mask[:, None, None]

    def decode(written: Any) -> Any:
        steps = model.target(written)
        for block, known in zip(model.blocks(), model.remember(memory), strict=True):
            steps, _ = block.decode(steps, known, mask)
        return model.output(model.decoder_norm(steps[:, -1:]), memory)[:, 0]

    return without_memory(decode, batch, forced)


WRITERS = {"greedy": greedy, "beams": beams, "again": again, "whole": whole}


def contestant(
    name: str, folder: Path, prepared: Callable[[Path, int], Any], run: str | None, count: int, threads: int
) -> dict[str, Any]:
    """Write the answers to all sentences, after those of a few."""
    import torch

    model, texts = trained(run, count) if run else (prepared(folder, threads).task.model, sentences(count))
    torch.set_num_threads(threads)
    model.eval()
    write, forced, clock = WRITERS[name], run is None, contest.Clock()
    with torch.no_grad():
        write(model, batched(texts[:32])[0], forced)
        batches = batched(texts)
        clock.start()
        answers = [answer for batch in batches for answer in write(model, batch, forced)]
        found = clock.stop(1)
    rates = {"rate": len(answers) * found["rate"], "work": 1000 * found["work"] / len(answers)}
    return rates | {"answers": answers}


def compare(rows: dict[str, list[dict[str, Any]]]) -> None:
    """See that what writes greedily writes the same; rounding may decide between two equally likely pieces now and then."""
    answers = {name: found[0]["answers"] for name, found in rows.items() if name != "beams"}
    first, *others = answers
    for name in others:
        equal = sum(one == other for one, other in zip(answers[first], answers[name], strict=True))
        print(f"{equal:,} of {len(answers[first]):,} answers of {name} equal those of {first}")
        if equal < 0.995 * len(answers[first]):
            raise SystemExit(f"{name} does not write what {first} does")
