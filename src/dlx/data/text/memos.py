"""Memos that are made by rule, and what each asks for: one sentence says it, and the others look the same."""

from __future__ import annotations

from dlx.core import Source
from dlx.data.options import Checkpoint
from dlx.data.text.drawing import Draws, distinct
from dlx.data.text.options import PairOptions, SplitShares, TextBatching
from dlx.data.text.pairs import Pair, pair_source
from dlx.registry import sources

SIZE = 6_000
BEGINNINGS = ("Bel", "Cor", "Dan", "Fer", "Gal", "Hal", "Jor", "Kal", "Lor", "Mar", "Nor", "Pel", "Ros", "Sil", "Tor", "Val")
ENDINGS = ("ada", "bert", "cott", "dine", "ello", "ford", "gard", "holm", "ier", "ki", "lund", "man", "nova", "otti", "quist")
VERBS = ("send", "check", "sign", "print", "translate", "correct", "copy", "return", "file", "shorten")
THINGS = ("report", "budget", "contract", "invoice", "letter", "plan", "list", "survey", "draft", "form", "map", "poster")
DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "noon", "tonight", "tomorrow")
ASKED = ("Please {do}.", "Could you {do}?", "Do not forget to {do}.", "It would help if you could {do}.")
NOT_ASKED = (
    "There is no need to {do}.",
    "You could not {do}, I know.",
    "Last week {name} forgot to {do}.",
    "It would not help to {do}.",
    "We were glad that {name} could {do}.",
    "{name} will {do}.",
)


@sources("memos")
def memos(seed: int, checkpoint: Checkpoint, *, options: PairOptions, shares: SplitShares, batching: TextBatching) -> Source:
    """Memos of two to four sentences and what they ask for: "... Could you sign the plan by noon? ..." is "sign the plan by noon".

    Each sentence tells of a verb, a thing, one of 240 made-up names and a day, but one only asks for it, anywhere in the memo.
    What it asks for stands in it word for word, so that a perfect answer scores ROUGE 1. The first sentence, which is the right
    one in .36 of the memos, scores ROUGE-1 .46. 6,000 different memos, drawn by `split_seed`; nothing is read or downloaded.
    """
    made = distinct(memo, Draws(shares.split_seed, 3), SIZE)
    return pair_source(seed, checkpoint, {"train": made}, options, shares, batching)


def memo(draws: Draws) -> Pair:
    """Make a memo and its subject."""
    count = draws.of((2, 3, 4))
    wanted, subject = draws.of(range(count)), what(draws)
    sentences = [draws.of(NOT_ASKED).format(do=what(draws), name=name(draws)) for _ in range(count)]
    sentences[wanted] = draws.of(ASKED).format(do=subject)
    return Pair(" ".join(sentences), subject)


def what(draws: Draws) -> str:
    """Say what is to be done."""
    return f"{draws.of(VERBS)} the {draws.of(THINGS)} of {name(draws)} by {draws.of(DAYS)}"


def name(draws: Draws) -> str:
    """Make up a name."""
    return draws.of(BEGINNINGS) + draws.of(ENDINGS)
