"""Texts to codes, and what `dlx predict` reads."""

import io
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlx.errors import ComponentError, UsageError
from dlx.processors.text.lines import read_texts
from dlx.processors.tokenizer import END, SPECIAL, UNKNOWN, Bytes, split
from dlx.processors.tokenizers import fit_tokenizer, restored_tokenizer


def test_words_are_runs_of_letters_and_single_marks():
    assert split("words", "It isn't good, c'est l’été 2.5!") == [
        "It",
        "isn't",
        "good",
        ",",
        "c'est",
        "l’été",
        "2",
        ".",
        "5",
        "!",
    ]


def test_the_most_frequent_pieces_are_known_and_ties_go_by_the_alphabet():
    made = fit_tokenizer("words", False, ["b a c", "a b", "a d"], 3, 1)
    assert list(made.pieces[SPECIAL:]) == ["a", "b", "c"]
    assert made.encode("a d b") == [SPECIAL, UNKNOWN, SPECIAL + 1]
    assert list(fit_tokenizer("words", False, ["b a c", "a b", "a d"], 9, 2).pieces[SPECIAL:]) == ["a", "b"]


@given(st.text())
def test_every_text_has_codes_and_bytes_lose_nothing(text):
    made = Bytes(False)
    codes = made.encode(text)
    assert bytes(code - SPECIAL for code in codes if code >= SPECIAL).decode("utf-8", "surrogatepass") == text
    assert all(0 < code < made.size for code in codes)
    for kind in ("words", "characters"):
        fitted = fit_tokenizer(kind, True, [text], 50, 1)
        assert fitted.encode(text)
        assert all(0 < code < fitted.size for code in fitted.encode(text))


def test_files_texts_and_standard_input_are_read(tmp_path, monkeypatch):
    (tmp_path / "some.txt").write_text("first line\n\nthird line\n")
    monkeypatch.setattr(sys, "stdin", io.TextIOWrapper(io.BytesIO(b"from outside\n")))
    found = list(read_texts([str(tmp_path / "some.txt"), "a text. As it is", "Hello.", "-"]))
    assert [line.text for line in found] == ["first line", "", "third line", "a text. As it is", "Hello.", "from outside"]
    assert found[2].place.endswith("some.txt:3")
    with pytest.raises(UsageError, match=r"missing\.txt: no such file; as a text"):
        list(read_texts(["missing.txt"]))
    with pytest.raises(UsageError, match=r"caf\\udce9: is no UTF-8 text"):
        list(read_texts(["good", "caf\udce9"]))  # as a shell's bytes that are no UTF-8 arrive


SIZES = {"bpe": 320, "unigram": 300}
SENTENCES = [f"The {word} cat sat on mat {n}, and it isn't {word}." for n in range(40) for word in ("old", "young", "größte")]


@pytest.mark.parametrize("kind", ["characters", "bytes", "bpe", "unigram"])
def test_what_was_encoded_is_decoded_whatever_it_is(kind):
    made = fit_tokenizer(kind, False, SENTENCES, SIZES.get(kind, 320), 1)
    known = "it isn't the größte cat."
    assert made.decode([*made.encode(known), END, 7]) == known
    again = restored_tokenizer(made.state_dict())
    assert (again.encode(known), again.size) == (made.encode(known), made.size)
    if kind != "characters":
        assert made.decode(made.encode("日本 ✓")) == "日本 ✓"


def test_decoded_words_stand_as_they_are_written():
    made = fit_tokenizer("words", False, ["¿Qué, tal (no)?"], 100, 1)
    assert made.decode(made.encode("¿Qué, tal (no)?")) == "¿Qué, tal (no)?"


@pytest.mark.parametrize("kind", ["bpe", "unigram"])
def test_learned_pieces_are_the_same_every_time_and_too_many_are_told(kind):
    one, other = (fit_tokenizer(kind, True, SENTENCES, SIZES[kind], 1) for _ in range(2))
    assert one.state_dict() == other.state_dict()
    assert one.size == SIZES[kind]
    with pytest.raises(ComponentError, match="hold at most"):
        fit_tokenizer(kind, True, SENTENCES, 30_000, 1)
    with pytest.raises(ComponentError, match="too few"):
        fit_tokenizer(kind, True, SENTENCES, 200, 1)


def test_lines_are_parted_at_line_ends_only(tmp_path):
    (tmp_path / "some.txt").write_text("one\u2028still one\ntwo\n", encoding="utf-8")
    assert [line.text for line in read_texts([str(tmp_path / "some.txt")])] == ["one\u2028still one", "two"]


def test_without_sentencepiece_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "sentencepiece", None)
    with pytest.raises(ComponentError, match=r"pip install 'dlx\[text\]'"):
        fit_tokenizer("bpe", True, SENTENCES, 320, 1)
