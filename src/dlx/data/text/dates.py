"""Dates in words, and the same in figures: pairs of texts that are made by rule."""

from __future__ import annotations

import datetime

import torch

from dlx.core import Source
from dlx.data.options import Checkpoint
from dlx.data.order import generator
from dlx.data.text.options import PairOptions, SplitShares, TextBatching
from dlx.data.text.pairs import Pair, pair_source
from dlx.registry import sources

UNITS = "first second third fourth fifth sixth seventh eighth ninth"
TEENS = "tenth eleventh twelfth thirteenth fourteenth fifteenth sixteenth seventeenth eighteenth nineteenth"
ORDINALS = f"{UNITS} {TEENS} twentieth".split(" ")
FIRST, LAST = datetime.date(1900, 1, 1), datetime.date(2099, 12, 31)
SIZE = 6_000
FORMS = (
    "the {ordinal} of {month} {year}",
    "{weekday}, {month} {day}, {year}",
    "{day} {short} {year}",
    "{month} the {ordinal}, {year}",
)


@sources("dates")
def dates(seed: int, checkpoint: Checkpoint, *, options: PairOptions, shares: SplitShares, batching: TextBatching) -> Source:
    """Dates as they are said in English and as ISO 8601 writes them: "the third of May 1998" is "1998-05-03".

    6,000 different days of 1900 to 2099, drawn by `split_seed`, in four forms by turns. Nothing is read or downloaded.
    """
    days = (LAST - FIRST).days + 1
    order = torch.randperm(days, generator=generator(shares.split_seed, 1))[:SIZE].tolist()
    made = [Pair(said(FIRST + datetime.timedelta(day), FORMS[n % len(FORMS)]), written(day)) for n, day in enumerate(order)]
    return pair_source(seed, checkpoint, {"train": made}, options, shares, batching)


def written(day: int) -> str:
    """Write a day, counted from the first, as ISO 8601 does."""
    return (FIRST + datetime.timedelta(day)).isoformat()


def said(date: datetime.date, form: str) -> str:
    """Say a date in one of the forms."""
    month = MONTHS[date.month - 1]
    return form.format(
        ordinal=ordinal(date.day), month=month, short=month[:3], year=date.year, day=date.day, weekday=WEEKDAYS[date.weekday()]
    )


def ordinal(number: int) -> str:
    """Say a number from 1 to 31 as an ordinal."""
    if number <= 20:
        return ORDINALS[number - 1]
    return "thirtieth" if number == 30 else f"{'twenty' if number < 30 else 'thirty'}-{ORDINALS[number % 10 - 1]}"


MONTHS = [
    "January",
    "February",
    "March",
    "April",
    "May",
    "June",
    "July",
    "August",
    "September",
    "October",
    "November",
    "December",
]
WEEKDAYS = ["Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"]
