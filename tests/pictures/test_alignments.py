"""Heat maps of attention: source pieces on x, output pieces on y, and no size without bound."""

import io

import numpy as np

from dlx.pictures.alignments import BLANK, LONGEST, NAMED, alignment


def test_pieces_stand_beside_their_cells():
    figure = alignment(np.array([[0.75, 0.25, 0.0], [0.0, 0.5, 0.5]]), ["a", " ", "$x$\n"], ["<end>", "日\x1b"])
    axes = figure.axes[0]
    assert [label.get_text() for label in axes.get_xticklabels()] == ["a", BLANK, "$x$\\x0a"]
    assert axes.get_yticklabels()[0].get_text() == "<end>"
    assert axes.images[0].get_array().tolist() == [[0.75, 0.25, 0.0], [0.0, 0.5, 0.5]]
    content = io.BytesIO()
    figure.savefig(content)
    assert content.getvalue().startswith(b"\x89PNG")


def test_a_long_text_is_drawn_small_and_without_names():
    long = ["piece"] * (NAMED + 1)
    figure = alignment(np.full((3, 1000), 0.001), ["word"] * 1000, long[:3])
    assert max(figure.get_size_inches()) < LONGEST + 4
    assert "word" not in [label.get_text() for label in figure.axes[0].get_xticklabels()]
