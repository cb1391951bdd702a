"""`dlx predict` answers texts of about one length together, and gives the answers in the order of the texts."""

import itertools
import random

import pytest
from tests.helpers.small_texts import NEITHER, NUMBERS, judge, writer

from dlx.commands import predict as command
from dlx.processors.text.base import Texts
from dlx.processors.text.encoding import Encoder
from dlx.processors.text.lines import Line


@pytest.fixture(scope="module")
def run(tmp_path_factory):
    return writer(tmp_path_factory.mktemp("texts"))


@pytest.fixture(scope="module")
def judging(tmp_path_factory):
    return judge(tmp_path_factory.mktemp("feelings"))


def texts(words, count=60):
    lot = random.Random(1)
    return [" ".join(lot.choices(words, k=lot.randint(1, 12))) if lot.random() < 0.9 else "" for _ in range(count)]


@pytest.fixture
def sized(monkeypatch):
    """Set how many texts make a batch and how many batches a window, and count what is encoded."""
    seen = []
    encode = Encoder.batch

    def counted(self, given):
        batch = encode(self, given)
        seen.append(batch["input"].numel())
        return batch

    monkeypatch.setattr(Encoder, "batch", counted)

    def call(batch_size, window):
        monkeypatch.setattr(Texts, "batch_size", batch_size)
        monkeypatch.setattr(Texts, "window", window)
        seen.clear()
        return seen

    return call


@pytest.mark.parametrize("overrides", [[], ["task.beam_size=3"], ["task.sample=true", "task.temperature=2.0"]])
def test_answers_are_those_of_each_text_alone_and_in_order(run, sized, overrides):
    given = texts(NUMBERS)
    sized(1, 1)
    alone = list(command.predict(run, given, overrides))
    assert [answer["text"] for answer in alone] == given
    pieces = {}
    for window in (1, 4):
        seen = sized(8, window)
        assert list(command.predict(run, given, overrides)) == alone
        pieces[window] = sum(seen)
    assert pieces[4] < 0.9 * pieces[1]  # less is padded


def test_classes_are_those_of_each_text_alone_and_in_order(judging, sized):
    given = texts([*NEITHER, "good", "bad"])
    sized(1, 1)
    alone = list(command.predict(judging, given, []))
    sized(8, 4)
    together = list(command.predict(judging, given, []))
    assert [answer["text"] for answer in together] == given
    assert [answer["label"] for answer in together] == [answer["label"] for answer in alone]
    for one, other in zip(alone, together, strict=True):
        assert one["probability"] == pytest.approx(other["probability"], abs=1e-6)


def test_no_more_than_a_window_is_read_ahead(run, sized, monkeypatch):
    read = itertools.count()
    monkeypatch.setattr(Texts, "read", lambda self, inputs: (Line(NUMBERS[next(read) % 8]) for _ in itertools.count()))
    sized(4, 3)
    answers = command.predict(run, ["-"], [])
    first = list(itertools.islice(answers, 13))
    assert [answer["text"] for answer in first] == (NUMBERS * 2)[:13]
    assert next(read) == 24
