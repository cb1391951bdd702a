"""Texts to codes, and what `dlx predict` reads."""

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlx.errors import UsageError
from dlx.processors.text.lines import read_texts
from dlx.processors.text.tokenizer import SPECIAL, UNKNOWN, Tokenizer


def test_words_are_runs_of_letters_and_single_marks():
    bare = Tokenizer("words", True, [])
    assert bare.pieces("It isn't GOOD, c'est l’été 2.5!") == ["it", "isn't", "good", ",", "c'est", "l’été", "2", ".", "5", "!"]


def test_the_most_frequent_pieces_are_known_and_ties_go_by_the_alphabet():
    made = Tokenizer.fit("words", False, ["b a c", "a b", "a d"], 3, 1)
    assert made.vocabulary == ["a", "b", "c"]
    assert made.encode("a d b") == [SPECIAL, UNKNOWN, SPECIAL + 1]
    assert Tokenizer.fit("words", False, ["b a c", "a b", "a d"], 9, 2).vocabulary == ["a", "b"]


@given(st.text())
def test_every_text_has_codes_and_bytes_lose_nothing(text):
    made = Tokenizer("bytes", False, [])
    codes = made.encode(text)
    assert bytes(code - SPECIAL for code in codes if code >= SPECIAL).decode("utf-8", "surrogatepass") == text
    assert all(0 < code < made.size for code in codes)
    for kind in ("words", "characters"):
        fitted = Tokenizer.fit(kind, True, [text], 50, 1)
        assert fitted.encode(text)
        assert all(0 < code < fitted.size for code in fitted.encode(text))


def test_files_texts_and_standard_input_are_read(tmp_path, monkeypatch):
    (tmp_path / "some.txt").write_text("first line\n\nthird line\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"from outside\n")))
    found = list(read_texts([str(tmp_path / "some.txt"), "a text. As it is", "great", "-"]))
    assert [line.text for line in found] == ["first line", "", "third line", "a text. As it is", "great", "from outside"]
    assert found[2].place.endswith("some.txt:3")
    with pytest.raises(UsageError, match=r"missing\.txt: no file"):
        list(read_texts(["missing.txt"]))
