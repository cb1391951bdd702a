"""Sentences of a small grammar whose verb agrees with a noun far before it."""

from __future__ import annotations

from dlx.core import Source
from dlx.data.options import Checkpoint
from dlx.data.text.drawing import Draws, distinct
from dlx.data.text.options import LineOptions, SplitShares, TextBatching
from dlx.data.text.unlabelled import unlabelled_source
from dlx.registry import sources

SIZE = 6_000
# Each in the singular and in the plural.
NOUNS = tuple(
    (noun, f"{noun}s")
    for noun in ["dog", "cat", "bird", "girl", "boy", "king", "farmer", "sailor", "doctor", "teacher", "robot", "lion"]
)
SEEING = tuple((f"{verb}s", verb) for verb in ["see", "follow", "hear", "like", "meet", "help", "trust"])
DOING = tuple((f"{verb}s", verb) for verb in ["sleep", "sing", "walk", "smile", "wait", "dream", "laugh"])
BEING = ("is", "are")
STATES = ("tired", "happy", "old", "lost", "quiet", "hungry")
WHERE = ("near", "behind", "with", "above", "beside")


@sources("agreement")
def agreement(
    seed: int, checkpoint: Checkpoint, *, options: LineOptions, shares: SplitShares, batching: TextBatching
) -> Source:
    """Sentences to learn how they go on: "the dogs behind the girl and that see the king are tired." has verbs for dogs.

    One or two phrases, each with a noun in a number of its own, stand between the subject and its verb. Every choice is made
    by equal lots, so that what is left to chance is known: with words, no model has a perplexity below 4.16, and one that knows
    the word before alone stands at 6.60. 6,000 different sentences, drawn by `split_seed`; nothing is read or downloaded.
    """
    made = distinct(sentence, Draws(shares.split_seed, 4), SIZE)
    return unlabelled_source(seed, checkpoint, {"train": made}, options, shares, batching)


def sentence(draws: Draws) -> str:
    """Make a sentence."""
    number = draws.of((0, 1))
    between = " and ".join(phrase(draws, number) for _ in range(draws.of((1, 2))))
    return f"the {draws.of(NOUNS)[number]} {between} {predicate(draws, number)}."


def phrase(draws: Draws, number: int) -> str:
    """Say more of a subject in the singular (0) or plural (1): where it is, whom it sees, or who sees it."""
    kind, other = draws.of(("where", "sees", "seen")), draws.of((0, 1))
    noun = f"the {draws.of(NOUNS)[other]}"
    if kind == "where":
        return f"{draws.of(WHERE)} {noun}"
    return f"that {draws.of(SEEING)[number]} {noun}" if kind == "sees" else f"that {noun} {draws.of(SEEING)[other]}"


def predicate(draws: Draws, number: int) -> str:
    """Say what a subject is, does, or sees."""
    kind = draws.of(("is", "does", "sees"))
    if kind == "is":
        return f"{BEING[number]} {draws.of(STATES)}"
    if kind == "does":
        return draws.of(DOING)[number]
    return f"{draws.of(SEEING)[number]} the {draws.of(NOUNS)[draws.of((0, 1))]}"
