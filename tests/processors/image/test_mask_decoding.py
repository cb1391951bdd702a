import io
import json

import numpy as np
import pytest
from PIL import Image

from dlx.processors.image.decoding import BadImageError, Decoding
from dlx.processors.image.mask_decoding import VOID, MaskDecoding, restore

PALETTE = [0, 0, 0, 128, 0, 0, 0, 128, 0] + [224, 224, 192] * 253


def saved(image, form="PNG", **options):
    content = io.BytesIO()
    image.save(content, form, **options)
    return content.getvalue()


def mask(shape=(5, 7), values=(0, 1, 2, 255), seed=0):
    return np.random.default_rng(seed).choice(np.array(values, np.uint8), shape)


def test_values_come_out_as_they_are_written_whatever_the_mode():
    pixels = mask()
    palette = Image.fromarray(pixels).copy()
    palette.putpalette(PALETTE)
    decode = MaskDecoding(5, 7, values=(0, 1, 2), ignored=(255,))
    for image in (Image.fromarray(pixels), palette, Image.fromarray(pixels.astype(np.uint16))):
        found, size = decode.measured(saved(image), "a.png")
        assert found.tolist() == pixels[None].tolist()
        assert size == (7, 5)


def test_values_become_class_numbers_in_the_order_given():
    decode = MaskDecoding(5, 7, values=(40, 7), ignored=(3, 0))
    pixels = mask(values=(0, 3, 7, 40))
    wanted = np.select([pixels == 40, pixels == 7], [0, 1], VOID)
    assert decode(saved(Image.fromarray(pixels)), "a.png").tolist() == [wanted.tolist()]
    bits = Image.fromarray(np.eye(5, 7, dtype=bool))
    assert MaskDecoding(5, 7, values=(0, 1))(saved(bits), "a.png").tolist() == [np.eye(5, 7, dtype=int).tolist()]


def test_colors_mean_classes_where_they_are_named():
    colors, codes = ((0, 0, 0), (128, 0, 0), (0, 128, 0), (224, 224, 192)), mask(values=(0, 1, 2, 3))
    pixels = np.array(colors, np.uint8)[codes]
    decode = MaskDecoding(5, 7, colors=colors[:3], ignored_colors=colors[3:])
    wanted = np.where(codes == 3, VOID, codes)
    assert decode(saved(Image.fromarray(pixels)), "a.png").tolist() == [wanted.tolist()]
    palette = Image.fromarray(codes)
    palette.putpalette(PALETTE)
    assert decode(saved(palette), "a.png").tolist() == [wanted.tolist()]
    with pytest.raises(BadImageError, match=r"unknown class: the colour \(224, 224, 192\) at x"):
        MaskDecoding(5, 7, colors=colors[:3])(saved(Image.fromarray(pixels)), "a.png")


@pytest.mark.parametrize("resize", ["squash", "crop", "pad"])
def test_another_size_makes_no_other_value_and_lies_where_the_image_does(resize):
    pixels = np.zeros((40, 60), np.uint8)
    pixels[10:22, 15:45] = 11
    decode = MaskDecoding(24, 24, resize=resize, values=(0, 11))
    found = decode(saved(Image.fromarray(pixels)), "a.png")[0]
    image = Decoding(24, 24, 1, resize)(saved(Image.fromarray((pixels > 0) * np.uint8(255))), "a.png")[0]
    assert set(np.unique(found).tolist()) == ({0, 1, VOID} if resize == "pad" else {0, 1})
    assert ((found == 1) == (image > 127)).mean() > 0.98
    left, top, width, height = decode.place(60, 40)
    rows, columns = np.nonzero(found == 1)
    assert abs(left + 15 * width / 60 - max(0, columns.min())) <= (15 if resize == "crop" else 1)
    assert abs(top + 10 * height / 40 - rows.min()) <= 1
    assert abs(top + 22 * height / 40 - rows.max() - 1) <= 1


def test_sizes_and_places_are_those_of_the_upright_image():
    exif = Image.Exif()
    exif[0x0112] = 6
    content = saved(Image.new("RGB", (1200, 800)), "JPEG", exif=exif)
    assert Decoding(10, 10).measured(content, "a.jpg")[1] == (800, 1200)
    assert Decoding(10, 20).place(800, 1200) == (0, 0, 20, 10)
    assert Decoding(10, 20, resize="crop").place(800, 1200) == (0, -10, 20, 30)
    assert Decoding(12, 20, resize="pad").place(800, 1200) == (6, 0, 8, 12)


def test_what_is_no_mask_is_refused():
    decode = MaskDecoding(4, 4, values=(0, 1))
    with pytest.raises(BadImageError, match="unknown class: the value 9 at x 2, y 1 is that of no class"):
        decode(saved(Image.fromarray(np.array([[0, 0, 0], [0, 1, 9]], np.uint8))), "a.png")
    with pytest.raises(BadImageError, match="lossy: JPEG"):
        decode(saved(Image.new("L", (4, 4)), "JPEG"), "a.jpg")
    with pytest.raises(BadImageError, match="mode RGB has more than one value a pixel"):
        decode(saved(Image.new("RGB", (4, 4))), "a.png")
    with pytest.raises(BadImageError, match="mode L has no colors"):
        MaskDecoding(4, 4, colors=((0, 0, 0),))(saved(Image.new("L", (4, 4))), "a.png")


def test_settings_go_through_json():
    decode = MaskDecoding(3, 4, values=(0, 2), ignored=(255,), colors=((1, 2, 3), (4, 5, 6)), ignored_colors=((0, 0, 0),))
    assert restore(json.loads(json.dumps(decode.state_dict()))) == decode
