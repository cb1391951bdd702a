"""Beginnings of texts to codes, and what was written behind them back to text."""

import logging

import pytest
import torch

from dlx.processors.text.continued_text import ContinuedTextProcessor
from dlx.processors.text.lines import Line
from dlx.processors.tokenizer import BEGIN, END, SPECIAL
from dlx.processors.tokenizers import fit_tokenizer


@pytest.fixture
def processor():
    return ContinuedTextProcessor(fit_tokenizer("words", False, ["a b c d"], 100, 1), 4)


def test_a_beginning_has_no_end_and_the_empty_one_is_the_mark_alone(processor):
    batch = processor.encode([Line("a b"), Line(""), Line("c")])
    assert batch["input"].tolist() == [[BEGIN, SPECIAL, SPECIAL + 1], [BEGIN, 0, 0], [BEGIN, SPECIAL + 2, 0]]
    assert batch["length"].tolist() == [3, 1, 2]
    assert processor.whole(["a b", "a b c"]) == ([[BEGIN, SPECIAL, SPECIAL + 1, END]] * 2, 1)


def test_of_a_long_beginning_the_last_pieces_are_kept_which_is_told(processor, caplog):
    with caplog.at_level(logging.WARNING, "dlx"):
        for _ in range(2):
            assert processor.encode([Line("a b c d")])["input"].tolist() == [[BEGIN, SPECIAL + 1, SPECIAL + 2, SPECIAL + 3]]
    assert [r.getMessage() for r in caplog.records] == [
        "of texts of more than 3 pieces only the last are read: 1 of the first 1"
    ]
    assert list(processor.remarks()) == ["of texts of more than 3 pieces only the last are read: 2 of 2 in all"]


def test_what_was_written_is_told_beside_what_was_given(processor):
    processor.encode([Line("a b"), Line("")])
    continued = torch.tensor([[BEGIN, SPECIAL, SPECIAL + 1, SPECIAL + 2, END], [BEGIN, SPECIAL + 3, END, -1, -1]])
    assert processor.decode({"continued": continued}) == [{"text": "a b", "output": "a b c"}, {"text": "", "output": "d"}]
    assert processor.decode({"continued": continued[:1]}) == [{"output": "a b c"}]
