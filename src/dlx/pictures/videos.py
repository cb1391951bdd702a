"""Films as MP4 files, H.264, which every player shows (extra: video). It imports no torch."""

from __future__ import annotations

import io
from collections.abc import Sequence
from fractions import Fraction
from typing import Any

import numpy as np

from dlx.errors import UsageError


def library() -> Any:
    """Import what encodes films; raises UsageError where the extra is not installed."""
    try:
        import av
    except ImportError:
        raise UsageError("films as MP4 need the extra 'video': pip install 'dlx[video]'") from None
    return av


def mp4(frames: Sequence[np.ndarray], milliseconds: float) -> bytes:
    """Return a film of frames uint8 (H, W, 3) of one size, each seen for some milliseconds, as the content of a file.

    A side of odd length gets its last row or column twice: the colours of H.264 are those of squares of four pixels.
    """
    av, content = library(), io.BytesIO()
    height, width = (side + side % 2 for side in frames[0].shape[:2])
    with av.open(content, "w", format="mp4") as film:
        stream = film.add_stream("libx264", rate=Fraction(1000 / milliseconds).limit_denominator(1000))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for frame in frames:
            whole = np.pad(frame, [(0, height - frame.shape[0]), (0, width - frame.shape[1]), (0, 0)], "edge")
            film.mux(stream.encode(av.VideoFrame.from_ndarray(whole, format="rgb24")))
        film.mux(stream.encode())
    return content.getvalue()
