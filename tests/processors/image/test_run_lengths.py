import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from pycocotools import mask as oracle

from dlx.processors.image import run_lengths

# pycocotools 2.0 has not heard of numpy 2 yet.
pytestmark = pytest.mark.filterwarnings("ignore:__array__ implementation:DeprecationWarning")


@given(st.integers(1, 12), st.integers(1, 12), st.integers(0, 2**32 - 1))
def test_run_lengths_are_those_of_coco(height, width, seed):
    mask = np.random.default_rng(seed).random((height, width)) < 0.4
    counts = run_lengths.encode(mask)
    assert np.array_equal(run_lengths.decode(counts, height, width), mask)
    packed = oracle.encode(np.asfortranarray(mask.astype(np.uint8)))
    assert run_lengths.unpacked(packed["counts"].decode()) == counts
    assert np.array_equal(oracle.decode(oracle.frPyObjects({"size": [height, width], "counts": counts}, height, width)), mask)


@pytest.mark.parametrize("counts", [[4, 4], [20, -3], [17], [2.0, 14], []])
def test_run_lengths_that_do_not_fill_an_image_are_refused(counts):
    with pytest.raises(ValueError, match="do not fill 4x4 pixels"):
        run_lengths.decode(counts, 4, 4)


@pytest.mark.parametrize("text", ["\n", "é", "P", "oooooooooooo"])
def test_damaged_text_is_refused(text):
    with pytest.raises(ValueError, match="packed run lengths"):
        run_lengths.unpacked(text)
