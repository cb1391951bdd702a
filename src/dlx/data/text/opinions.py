"""Sentences for or against a film that are made by rule: who only counts their words is mostly wrong."""

from __future__ import annotations

from dlx.core import Source
from dlx.data.options import Checkpoint
from dlx.data.text.drawing import Draws, distinct
from dlx.data.text.labelled import Labelled, labelled_source
from dlx.data.text.options import TextBatching, TextOptions, TextSplits
from dlx.registry import sources

SIZE = 6_000
LABELS = ("negative", "positive")
THINGS = ("film", "plot", "acting", "music", "ending", "dialogue", "script", "camera", "pace", "story", "cast", "scenery")
WORDS = (
    ("bad", "dull", "weak", "silly", "slow", "cold", "boring", "stale", "clumsy", "shallow", "noisy", "ugly"),
    ("good", "great", "fine", "clever", "funny", "warm", "lovely", "fresh", "moving", "subtle", "bold", "charming"),
)
AFFIRMED, DENIED = ("is", "was", "is always", "is surely"), ("is not", "was not", "is never", "is hardly")
DEGREES = ("", "very ", "really ", "so ")
# What is said first and what is said second; the first of the two letters is the clause that decides.
ALONE, BOTH = "{a}.", "{a} and {b}."
OPPOSED = ("{b}, but {a}.", "although {b}, {a}.", "{a}, although {b}.")


@sources("opinions")
def opinions(seed: int, checkpoint: Checkpoint, *, options: TextOptions, splits: TextSplits, batching: TextBatching) -> Source:
    """Short sentences for or against a film: "although the plot was great, the acting is not so good." is negative.

    A clause says something good or bad of a thing, or denies it, and a denied good word is bad. A fifth of the sentences have
    one clause, a fifth two of one opinion ("and"), and three fifths ("but", "although") two opposed ones, of which the main or
    last one decides. Reading in order all are right; the best that can be done by counting words is 65 %: a denial may belong
    to either clause, and which one decides is a matter of order alone. 6,000 different sentences, drawn by `split_seed`;
    nothing is read or downloaded.
    """
    made = distinct(sentence, Draws(splits.split_seed, 2), SIZE)
    whole = Labelled([text for text, _ in made], [label for _, label in made])
    return labelled_source(seed, checkpoint, whole, options, splits, batching)


def sentence(draws: Draws) -> tuple[str, str]:
    """Make a sentence and its label."""
    form, opinion = draws.of((ALONE, BOTH, *OPPOSED)), draws.of((0, 1))
    thing, another = draws.two_of(THINGS)
    other = 1 - opinion if form in OPPOSED else opinion
    return form.format(a=clause(draws, thing, opinion), b=clause(draws, another, other)), LABELS[opinion]


def clause(draws: Draws, thing: str, opinion: int) -> str:
    """Say that a thing is good (1) or bad (0), by a word for it or by denying one for the contrary."""
    denied = draws.of((False, True))
    word = draws.of(WORDS[1 - opinion if denied else opinion])
    return f"the {thing} {draws.of(DENIED if denied else AFFIRMED)} {draws.of(DEGREES)}{word}"
