import contextlib
import io
import json
import subprocess
import sys

import numpy as np
import pytest
import torch
from PIL import Image

from dlx.errors import UsageError
from dlx.processors.image.decoding import BadImageError, Decoding
from dlx.processors.image.mask_decoding import restore
from dlx.processors.image.processor import ImageProcessor

DECODING = Decoding(4, 6)


def picture(width=12, height=8, mode="RGB"):
    x, y = np.meshgrid(np.linspace(0, 250, width), np.linspace(0, 250, height))
    return Image.fromarray(np.stack([x, y, x / 2 + y / 2], -1).astype(np.uint8)).convert(mode)


def saved(image, format="PNG", **options):
    buffer = io.BytesIO()
    image.save(buffer, format, **options)
    return buffer.getvalue()


def flat(content, decoding=DECODING, name="a.png"):
    pixels = decoding(content, name)
    assert pixels.shape == decoding.shape
    assert pixels.dtype == np.uint8
    return pixels


@pytest.mark.parametrize(
    ("mode", "format"),
    [("1", "PNG"), ("L", "PNG"), ("LA", "PNG"), ("P", "GIF"), ("P", "PNG"), ("RGB", "BMP"), ("RGB", "TIFF"), ("RGBA", "PNG"),
     ("RGBA", "WEBP"), ("CMYK", "JPEG"), ("CMYK", "TIFF"), ("YCbCr", "JPEG"), ("LAB", "TIFF"), ("L", "PPM"), ("RGB", "JPEG")],
)  # fmt: skip
@pytest.mark.parametrize("channels", [1, 3])
def test_every_mode_is_read(mode, format, channels):
    content = saved(picture(mode=mode), format)
    found = flat(content, Decoding(8, 12, channels), "a").astype(int)
    wanted = np.asarray(picture(mode=mode).convert("RGB").convert("RGB" if channels == 3 else "L")).astype(int)
    wanted = wanted[None] if channels == 1 else wanted.transpose(2, 0, 1)
    assert np.abs(found - wanted).mean() < 12


@pytest.mark.parametrize("order", ["I;16", "I;16B"])
def test_16_bits_are_scaled_and_not_cut(order):
    values = np.array([[0, 257, 65535], [32896, 128, 129]], dtype=">u2" if order == "I;16B" else "<u2")
    image = Image.frombytes(order, (3, 2), values.tobytes())
    found = flat(saved(image, "TIFF"), Decoding(2, 3, 1), "a.tif")
    assert found.tolist() == [[[0, 1, 255], [128, 0, 1]]]
    if order == "I;16":
        assert flat(saved(image, "PNG"), Decoding(2, 3, 3))[2].tolist() == found[0].tolist()


@pytest.mark.parametrize(("mode", "value"), [("I", 70000), ("I", -1), ("F", 0.5)])
def test_numbers_without_a_known_range_are_refused(mode, value):
    with pytest.raises(BadImageError, match="range nothing tells"):
        DECODING(saved(Image.new(mode, (3, 3), value), "TIFF"), "a.tif")


def test_what_is_transparent_is_laid_on_white():
    clear = Image.new("RGBA", (6, 4), (10, 20, 30, 0))
    assert (flat(saved(clear)) == 255).all()
    half = Image.new("LA", (6, 4), (0, 128))
    assert (flat(saved(half)) == 127).all()
    palette = Image.new("P", (6, 4), 0)
    palette.putpalette([200, 0, 0] * 256)
    assert (flat(saved(palette, transparency=0)) == 255).all()
    assert (flat(saved(palette))[0] == 200).all()
    assert (flat(saved(Image.new("RGB", (6, 4), (9, 9, 9)), transparency=(9, 9, 9))) == 255).all()


@pytest.mark.parametrize("orientation", range(1, 9))
def test_exif_orientation_is_followed(orientation):
    exif = Image.Exif()
    exif[0x0112] = orientation
    turns = {2: "fliplr", 3: "rot180", 4: "flipud", 5: "transpose", 6: "right", 7: "transverse", 8: "left"}
    stored = np.asarray(picture(12, 8))
    wanted = {
        "fliplr": stored[:, ::-1], "rot180": stored[::-1, ::-1], "flipud": stored[::-1], "transpose": stored.transpose(1, 0, 2),
        "right": np.rot90(stored, -1), "transverse": np.rot90(stored, 2).transpose(1, 0, 2), "left": np.rot90(stored, 1),
    }.get(turns.get(orientation, ""), stored)  # fmt: skip
    found = flat(saved(picture(12, 8), exif=exif), Decoding(*wanted.shape[:2]))
    assert np.array_equal(found.transpose(1, 2, 0), wanted)


def test_exif_that_is_broken_turns_nothing():
    content = saved(picture(), "JPEG", exif=b"Exif\0\0MM\0*\0\0\0\x08\xff\xff")
    assert flat(content, name="a.jpg").any()


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (saved(picture(200, 200), "JPEG")[:-900], "a.jpg", "truncated: "),
        (saved(picture(200, 200))[:-900], "a.png", "truncated|unreadable"),
        (saved(picture(200, 200), "TIFF")[:-900], "a.tif", "truncated|unreadable"),
        (b"", "a.jpg", "unreadable: it is empty"),
        (b"no image at all", "a.jpg", "unreadable: none of JPEG"),
        (b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "a", "unreadable: none of"),
        (saved(picture()), "a.JPG", "mislabelled: it holds PNG, but its name says JPEG"),
        (saved(picture(), "JPEG"), "x/b.png", "mislabelled: it holds JPEG, but its name says PNG"),
    ],
)
def test_bad_files_are_told_apart(content, name, message):
    with pytest.raises(BadImageError, match=message):
        DECODING(content, name)


def test_too_many_pixels_are_refused_before_they_are_decoded():
    bomb = saved(Image.new("1", (20000, 20000)))
    assert len(bomb) < 100_000
    with pytest.raises(BadImageError, match="oversized"):
        DECODING(bomb, "a.png")
    with pytest.raises(BadImageError, match="oversized: 12x8 are more than max_pixels 95"):
        Decoding(4, 4, max_pixels=95)(saved(picture()), "a.png")
    assert Decoding(4, 4, max_pixels=96)(saved(picture()), "a.png").any()


def test_no_byte_of_a_file_cut_anywhere_escapes_as_another_error():
    for format, name in (
        ("PNG", "a.png"),
        ("JPEG", "a.jpg"),
        ("GIF", "a.gif"),
        ("TIFF", "a.tif"),
        ("BMP", "a.bmp"),
        ("WEBP", "a.webp"),
    ):
        content = saved(picture(), format)
        for stop in range(0, len(content), 7):
            with contextlib.suppress(BadImageError):
                DECODING(content[:stop], name)


def test_a_size_is_met_by_stretching_cutting_or_borders():
    image = Image.new("RGB", (12, 4), "white")
    image.paste((0, 0, 0), (4, 0, 8, 4))
    content = saved(image)
    squash, crop, pad = (Decoding(4, 4, 1, kind)(content, "a.png")[0] for kind in ("squash", "crop", "pad"))
    assert squash[0, 0] == 255
    assert squash[0, 1] < 200
    assert (crop == 0).all()
    assert (pad[0] == 0).all()
    assert (pad[3] == 0).all()
    assert pad[1, 0] > 0


def test_a_large_jpeg_read_at_a_fraction_is_nearly_the_same():
    large = picture(1600, 1200)
    found = Decoding(60, 80)(saved(large, "JPEG", quality=95), "a.jpg").astype(int)
    wanted = np.asarray(large.resize((80, 60), Image.Resampling.BILINEAR)).transpose(2, 0, 1).astype(int)
    assert np.abs(found - wanted).max() < 6


def processor(**choices):
    given = {
        "decoding": Decoding(6, 6),
        "size": (4, 4),
        "mean": [0.5, 0.4, 0.3],
        "std": [0.2, 0.25, 0.3],
        "class_names": ["cat", "dog"],
    }
    return ImageProcessor(**(given | choices))


def test_files_folders_and_standard_input_are_read(tmp_path, monkeypatch, caplog):
    (tmp_path / "b" / ".hidden").mkdir(parents=True)
    for name in ("b/2.png", "b/.hidden/3.png", "b/.4.png", "1.png"):
        picture().save(tmp_path / name)
    (tmp_path / "b" / "notes.txt").write_text("no image")
    made = processor()
    assert [f.name for f in made.read([str(tmp_path)])] == [str(tmp_path / "1.png"), str(tmp_path / "b/2.png")]
    monkeypatch.setattr("sys.stdin", io.TextIOWrapper(io.BytesIO(saved(picture()))))
    files = list(made.read([str(tmp_path / "1.png"), "-"]))
    batch = made.encode(files)
    assert torch.equal(batch["input"][0], batch["input"][1])
    with pytest.raises(UsageError, match=r"nothing.png: no file or folder"):
        list(made.read([str(tmp_path / "nothing.png")]))
    (tmp_path / "b" / "link").symlink_to(tmp_path / "b")
    assert len(list(made.read([str(tmp_path / "b")]))) == 1
    assert f"{tmp_path / 'b/link'}: is a link to a folder and was not followed" in caplog.text
    (tmp_path / "empty").mkdir()
    with pytest.raises(UsageError, match="empty: holds no image"):
        list(made.read([str(tmp_path / "empty")]))


def test_a_batch_is_the_middle_standardised_and_answers_name_their_files(tmp_path):
    for name, value in (("a.png", 51), ("b.png", 102)):
        Image.new("RGB", (9, 9), (value, value, value)).save(tmp_path / name)
    made = ImageProcessor.from_state(json.loads(json.dumps(processor().state_dict())))
    assert made.state_dict() == processor().state_dict()
    batch = made.encode(list(made.read([str(tmp_path)])))
    assert batch["input"].shape == (2, 3, 4, 4)
    assert torch.allclose(batch["input"][0, :, 0, 0], (0.2 - torch.tensor([0.5, 0.4, 0.3])) / torch.tensor([0.2, 0.25, 0.3]))
    prediction = {"label": torch.tensor([1, 0]), "probability": torch.tensor([[0.25, 0.75], [0.5, 0.5]])}
    assert made.decode(prediction) == [
        {"file": str(tmp_path / "a.png"), "label": "dog", "probability": {"cat": 0.25, "dog": 0.75}},
        {"file": str(tmp_path / "b.png"), "label": "cat", "probability": {"cat": 0.5, "dog": 0.5}},
    ]


def test_a_bad_file_is_named(tmp_path):
    (tmp_path / "bad.png").write_bytes(b"nothing")
    made = processor()
    with pytest.raises(UsageError, match=r"bad.png: unreadable"):
        made.encode(list(made.read([str(tmp_path / "bad.png")])))


def test_bad_files_are_skipped_only_where_that_is_asked_for(tmp_path, caplog):
    for name in ("a.png", "c.png"):
        picture().save(tmp_path / name)
    (tmp_path / "b.png").write_bytes(b"nothing")
    (tmp_path / "d.jpg").write_bytes(saved(picture(), "PNG"))
    made = processor()
    files = list(made.read([str(tmp_path)]))
    good = made.encode([file for file in files if file.name.endswith(("a.png", "c.png"))])
    made.skip_bad = True
    batch = made.encode(files)
    assert torch.equal(batch["input"], good["input"])
    assert [(text.split(": ")[0], text.split(": ")[1]) for text in made.skipped] == [
        (str(tmp_path / "b.png"), "unreadable"),
        (str(tmp_path / "d.jpg"), "mislabelled"),
    ]
    assert all(f"skipped {text}" in caplog.text for text in made.skipped)
    prediction = {"label": torch.tensor([1, 0]), "probability": torch.tensor([[0.25, 0.75], [0.5, 0.5]])}
    assert [answer["file"] for answer in made.decode(prediction)] == [str(tmp_path / "a.png"), str(tmp_path / "c.png")]
    assert made.encode([file for file in files if file.name.endswith("b.png")])["input"].shape == (0, 3, 4, 4)
    assert made.encoded == []
    assert len(made.skipped) == 3
    assert "skip" not in json.dumps(made.state_dict())  # it is asked for anew each time


def test_settings_survive_json():
    assert restore(json.loads(json.dumps(Decoding(3, 4, 1, "pad", 99).state_dict()))) == Decoding(3, 4, 1, "pad", 99)


def test_a_decoder_imports_no_torch():
    code = "import sys, dlx.data.image.workers; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
