"""Sound over time, with words where they were heard."""

import numpy as np
import pytest

from dlx.pictures.spectrograms import Heard, spectrograms


def test_words_stand_where_they_were_heard():
    features = np.random.default_rng(0).random((50, 8))
    figure = spectrograms(
        [Heard("go $stop", features, 0.02, [("go", 0.1, 0.3), ("stop", 0.5, 0.9)]), Heard("no", features, 0.02, [])]
    )
    first, second = figure.axes
    assert first.get_title() == "go $stop"
    assert first.images[0].get_extent() == [0, 1.0, 0, 8]
    assert [list(line.get_xdata()) for line in first.lines] == [[0.1, 0.3], [0.5, 0.9]]
    assert [text.get_text() for text in first.texts] == ["go", "stop"]
    assert [text.get_position()[0] for text in first.texts] == pytest.approx([0.2, 0.7])
    assert not second.texts
    figure.savefig(__import__("io").BytesIO())
