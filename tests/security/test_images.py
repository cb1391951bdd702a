"""Hostile image files: no claim of a file is believed before its size is known, and no pipe or device is waited for."""

import io
import os
import struct
import threading

import pytest
from PIL import Image
from tests.helpers.image_files import build, classes, write

from dlx.errors import ComponentError, UsageError
from dlx.processors.image import decoding
from dlx.processors.image import reader as processors
from dlx.processors.image.decoding import BadImageError, Decoding
from dlx.processors.image.processor import ImageProcessor

SPARSE = 2**40


@pytest.fixture
def folder(tmp_path):
    write(tmp_path / "data", classes(10))
    return tmp_path / "data"


def processor(**choices):
    return ImageProcessor(Decoding(4, 4, **choices), (4, 4), [0.5] * 3, [0.2] * 3, ["cat", "dog"])


def sparse(file):
    with open(file, "wb") as made:
        made.truncate(SPARSE)


@pytest.mark.parametrize("cache", [None, "none"])
def test_a_sparse_file_of_a_terabyte_is_a_bad_file(folder, cache):
    sparse(folder / "cat/00.png")
    with pytest.raises(
        ComponentError, match=r"1 of 20 images .* \(1 oversized\).*\n  cat/00.png: oversized: it has more than 536,870,912"
    ):
        build(folder, cache)
    made = processor()
    with pytest.raises(UsageError, match=r"00.png: oversized: it has more than 536,870,912 bytes"):
        made.encode(list(made.read([str(folder / "cat/00.png")])))


def test_pipes_and_devices_in_a_folder_are_told_and_never_waited_for(folder, caplog):
    os.mkfifo(folder / "cat/pipe.png")
    (folder / "dog/zero.png").symlink_to("/dev/zero")
    (folder / "dog/null.png").symlink_to("/dev/null")
    assert sum(build(folder, follow_links=True, val=0.0, test=0.0).facts["class_counts"]) == 20
    told = "3 are no regular files and were passed over: cat/pipe.png, dog/null.png, dog/zero.png"
    assert told in caplog.text
    made = processor()
    with pytest.raises(UsageError) as caught:
        made.encode(list(made.read([str(folder)])))
    for name in ("cat/pipe.png", "dog/zero.png", "dog/null.png"):
        assert f"{folder / name}: cannot be read: is no regular file" in str(caught.value)


def test_a_file_that_becomes_a_pipe_after_it_was_listed_is_not_waited_for(folder):
    source = build(folder, "none", num_workers=0, val=0.0, test=0.0)
    (folder / "cat/00.png").unlink()
    os.mkfifo(folder / "cat/00.png")
    with pytest.raises(Exception, match=r"cat/00.png: cannot be read: is no regular file"):
        list(source.train())


def test_a_pipe_that_is_named_itself_is_read(folder, tmp_path):
    os.mkfifo(tmp_path / "pipe")
    content = (folder / "cat/00.png").read_bytes()
    threading.Thread(target=lambda: (tmp_path / "pipe").write_bytes(content)).start()
    made = processor()
    piped = made.encode(list(made.read([str(tmp_path / "pipe")])))
    assert piped["input"].equal(made.encode(list(made.read([str(folder / "cat/00.png")])))["input"])


def test_what_comes_by_a_pipe_is_bounded(folder, tmp_path, monkeypatch):
    for place in (decoding, processors):
        monkeypatch.setattr(place, "FILE_BYTES", 1000)
    stream = io.TextIOWrapper(io.BytesIO(bytes(10_000)))
    monkeypatch.setattr("sys.stdin", stream)
    made = processor()
    with pytest.raises(UsageError, match="standard input: oversized: it has more than 1,000 bytes"):
        made.encode(list(made.read(["-"])))
    assert stream.buffer.tell() == 1001


def tiff(width, height, tile, compression=8):
    """Write a TIFF of one tile that holds nothing."""
    entries = [(256, 3, width), (257, 3, height), (258, 3, 8), (259, 3, compression), (262, 3, 1), (277, 3, 1)]
    entries += [(322, 4, tile), (323, 4, tile), (324, 4, 300), (325, 4, 10)]
    body = b"".join(struct.pack("<HHII", tag, kind, 1, value) for tag, kind, value in entries)
    return (b"II*\0\x08\0\0\0" + struct.pack("<H", len(entries)) + body + bytes(4)).ljust(512, b"\0")


@pytest.mark.parametrize("compression", [1, 5, 8])
@pytest.mark.parametrize("tile", [60_000, 2**31 - 16, 2**32 - 16])
def test_a_small_tiff_with_huge_tiles_is_refused_before_it_is_decoded(tile, compression):
    with pytest.raises(BadImageError, match=f"oversized: its tiles of {tile}x{tile} are more than max_pixels"):
        Decoding(4, 4)(tiff(10, 10, tile, compression), "a.tif")


def test_a_frame_larger_than_its_image_is_refused():
    buffer = io.BytesIO()
    Image.new("P", (50, 50), 1).save(buffer, "GIF")
    content = bytearray(buffer.getvalue())
    assert Decoding(4, 4, max_pixels=100 * 100)(bytes(content), "a.gif").any() in (True, False)
    struct.pack_into("<HH", content, 6, 2, 2)  # the size of the whole; that of its frame stands further on
    with pytest.raises(BadImageError, match="oversized: 50x50 are more than max_pixels 100"):
        Decoding(4, 4, max_pixels=100)(bytes(content), "a.gif")


STATE = processor().state_dict()


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"mean": [0.5]}, "mean, std: not one for each channel"),
        ({"mean": "x"}, "mean: Input should be a valid list"),
        ({"mean": [0.5, 0.5, float("nan")]}, "mean"),
        ({"std": [0.0, 0.1, 0.1]}, "std"),
        ({"size": [5, 4]}, "size: is larger than what is stored"),
        ({"size": [10**9, 4]}, "size"),
        ({"class_names": []}, "class_names"),
        ({"class_names": ["cat", "cat"]}, "a class stands there twice"),
        ({"class_names": ["cat", 7]}, "class_names"),
        ({"decoding": {}}, "decoding.height: Field required"),
        ({"decoding": {**STATE["decoding"], "height": 65536, "width": 65536}}, "decoding: too many pixels"),
        ({"decoding": {**STATE["decoding"], "resize": "melt"}}, "decoding.resize"),
        ({"decoding": {**STATE["decoding"], "max_pixels": 10**12}}, "decoding.max_pixels"),
        ({"decoding": {**STATE["decoding"], "program": "rm"}}, "decoding.program: Extra inputs"),
        ({"more": 1}, "more: Extra inputs"),
        ({"decoding": None}, "decoding"),
    ],
)
def test_a_forged_state_is_one_message(change, message):
    with pytest.raises(UsageError, match=r"^the state of the image processor is damaged: ") as caught:
        ImageProcessor.from_state(STATE | change)
    assert message in str(caught.value)


@pytest.mark.parametrize("state", [None, [], "x", 7, {}])
def test_what_is_no_state_is_one_message(state):
    with pytest.raises(UsageError, match="the state of the image processor is damaged"):
        ImageProcessor.from_state(state)
