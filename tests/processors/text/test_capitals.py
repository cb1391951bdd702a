"""Capitals as marks: what is written comes back."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dlx.processors.text.capitals import ALL, FIRST, mark, unmark


@pytest.mark.parametrize(
    ("text", "marked"),
    [
        ("Tom likes NASA.", "⇧ tom likes ⇪ nasa."),
        ("I'm here, Jean-Luc!", "⇧ i'm here, ⇧ jean-⇧ luc!"),
        ("¿Qué? O'Brien's iPhone", "¿⇧ qué? O'Brien's iPhone"),
        ("Straße STRASSE İstanbul", "⇧ straße ⇪ strasse İstanbul"),
        ("", ""),
    ],
)
def test_words_with_capitals_stand_in_lower_case_behind_a_mark(text, marked):
    assert mark(text) == marked
    assert unmark(marked) == text


@given(st.text() | st.text(alphabet="aAbBßİǆ'’ -.ÉéŁI_1"))
def test_every_text_without_marks_comes_back(text):
    if FIRST not in text and ALL not in text:
        assert unmark(mark(text)) == text


@pytest.mark.parametrize("written", ["⇧", "⇧ ⇧ adiós", "⇪ ⇪", "adiós ⇧ .", "⇪⇧no"])
def test_marks_of_a_careless_model_are_no_text(written):
    assert not {FIRST, ALL} & set(unmark(written))
