"""Films as MP4: another decoder finds the frames and the time that went in."""

import io
import sys

import numpy as np
import pytest

from dlx.errors import UsageError
from dlx.pictures.videos import mp4


def test_a_film_is_read_as_it_was_taken():
    av = pytest.importorskip("av", reason="needs the extra 'video'")
    frames = [np.full((21, 33, 3), 20 * number, np.uint8) for number in range(10)]
    with av.open(io.BytesIO(mp4(frames, 40.0))) as film:
        found = [frame.to_ndarray(format="rgb24") for frame in film.decode(video=0)]
        assert film.streams.video[0].average_rate == 25
        assert film.streams.video[0].codec_context.name == "h264"
    assert [frame.shape for frame in found] == [(22, 34, 3)] * 10
    assert [frame.mean() for frame in found] == pytest.approx([frame.mean() for frame in frames], abs=4)


def test_without_the_extra_it_is_told(monkeypatch):
    monkeypatch.setitem(sys.modules, "av", None)
    with pytest.raises(UsageError, match=r"pip install 'dlx\[video\]'"):
        mp4([np.zeros((2, 2, 3), np.uint8)], 40.0)
